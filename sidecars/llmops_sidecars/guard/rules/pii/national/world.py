"""National ids of countries beyond Europe that are numbers. The checks follow the publications of their registrars."""

from __future__ import annotations

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.checksums import is_date, is_short_date, luhn, verhoeff, weighted
from llmops_sidecars.guard.rules.pii.national.model import Numeric

THIRTEEN, TWELVE, ELEVEN, NINE = "9999999999999", "999999999999", "99999999999", "999999999"

TAXPAYER_GROUPS = (*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100))
"""IRS: groups of an individual taxpayer identification number."""

MALAYSIAN_PLACES = frozenset(
    (*range(1, 17), *range(21, 60), 60, *range(61, 69), 71, 72, *range(74, 80), *range(82, 94), 98, 99)
)
"""Jabatan Pendaftaran Negara: codes of places of birth."""


def _american(digits: str) -> bool:
    """SSA: no area 000, 666 or from 900 on, no group 00, no serial 0000; IRS: areas from 900 on of taxpayers."""
    area, group = int(digits[:3]), int(digits[3:5])
    taxpayer = area >= 900 and group in TAXPAYER_GROUPS  # noqa: PLR2004 - areas
    return (0 < area < 900 and area != 666 and group > 0 and digits[5:] != "0000") or taxpayer  # noqa: PLR2004 - areas


def _canadian(digits: str) -> bool:
    """Social insurance number: 0 and 8 are not given to persons."""
    return digits[0] not in "08" and luhn(digits)


def _brazilian(digits: str) -> bool:
    """CPF: two digits check."""
    first = weighted(digits, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and (first, second) == (int(digits[9]), int(digits[10]))


def _argentinian(digits: str) -> bool:
    """CUIL of a person."""
    rest = (11 - weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return digits[:2] in {"20", "23", "24", "27"} and rest == int(digits[10])


def _chilean(digits: str) -> bool:
    """RUT whose check is a digit."""
    return (11 - weighted(digits[-2::-1], (2, 3, 4, 5, 6, 7) * 2) % 11) % 11 == int(digits[-1])


def _indian(digits: str) -> bool:
    """Aadhaar: it begins with neither 0 nor 1."""
    return digits[0] > "1" and verhoeff(digits)


def _pakistani(digits: str) -> bool:
    """CNIC: a region, and no check."""
    return digits[0] in "1234567"


def chinese(digits: str) -> bool:
    """GB 11643: region, date, and a digit by ISO 7064, MOD 11-2; X stands for ten."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    checked = "10X98765432"[weighted(digits[:17], weights) % 11] == digits[17]
    return checked and digits[0] != "0" and is_date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))


def _japanese(digits: str) -> bool:
    """個人番号."""
    rest = weighted(digits[10::-1], (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6)) % 11
    return int(digits[11]) == (0 if rest < 2 else 11 - rest)  # noqa: PLR2004 - 10 and 11 are 0


def _korean_date(digits: str) -> bool:
    """주민등록번호: a date, and a digit that tells sex and century; those since October 2020 have no check."""
    return digits[6] in "12345678" and is_short_date(digits[:2], digits[2:4], digits[4:6])


def _korean(digits: str) -> bool:
    """주민등록번호 with its check."""
    return _korean_date(digits) and (weighted(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) + int(digits[12])) % 11 in {
        0,
        1,
    }


def _thai(digits: str) -> bool:
    """เลขประจำตัวประชาชน."""
    return digits[0] in "12345678" and (11 - weighted(digits, range(13, 1, -1)) % 11) % 10 == int(digits[12])


def _malaysian(digits: str) -> bool:
    """MyKad: date and place of birth, and no check."""
    return int(digits[6:8]) in MALAYSIAN_PLACES and is_short_date(digits[:2], digits[2:4], digits[4:6])


def _indonesian(digits: str) -> bool:
    """NIK: province, date of birth, with 40 added to a woman's day, and no check."""
    return digits[0] in "123456789" and is_short_date(digits[10:12], digits[8:10], str(int(digits[6:8]) % 40))


def _australian_tax(digits: str) -> bool:
    """Tax file number."""
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _australian_health(digits: str) -> bool:
    """Medicare number."""
    return digits[0] in "23456" and weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])


def _south_african(digits: str) -> bool:
    """Date, sex, citizenship (0 to 2), and Luhn's check."""
    return digits[10] in "012" and luhn(digits) and is_short_date(digits[:2], digits[2:4], digits[4:6])


def _turkish(digits: str) -> bool:
    """The number of the Turkish identity card."""
    odd, even = sum(map(int, digits[0:9:2])), sum(map(int, digits[1:8:2]))
    checks = ((7 * odd - even) % 10, sum(map(int, digits[:10])) % 10)
    return digits[0] != "0" and checks == (int(digits[9]), int(digits[10]))


IDS = (
    Numeric(
        Country.US,
        _american,
        ("999-99-9999",),
        ("999 99 9999", NINE, "999.99.9999"),
        ("ssn", "social security", "social sec", "itin", "taxpayer id", "tax id"),
    ),
    Numeric(
        Country.CA,
        _canadian,
        (),
        ("999 999 999", "999-999-999", NINE),
        ("sin", "social insurance", "nas", "assurance sociale"),
    ),
    Numeric(Country.BR, _brazilian, ("999.999.999-99",), (ELEVEN, "999999999-99", "999 999 999 99"), ("cpf",)),
    Numeric(Country.AR, _argentinian, ("99-99999999-9",), (ELEVEN,), ("cuil", "cuit")),
    Numeric(Country.CL, _chilean, ("99.999.999-9", "9.999.999-9"), ("99999999-9", "9999999-9"), ("rut", "run")),
    Numeric(
        Country.IN,
        _indian,
        ("9999 9999 9999", "9999-9999-9999"),
        (TWELVE,),
        ("aadhaar", "aadhar", "adhaar", "uidai", "आधार"),
    ),
    Numeric(Country.PK, _pakistani, ("99999-9999999-9",), (THIRTEEN,), ("cnic", "nicop")),
    Numeric(Country.CN, chinese, ("999999999999999999", "999999 99999999 9999")),
    Numeric(
        Country.JP,
        _japanese,
        (),
        (TWELVE, "9999 9999 9999", "9999-9999-9999"),
        ("マイナンバー", "個人番号", "my number"),
    ),
    Numeric(Country.KR, _korean, ("999999-9999999",)),
    Numeric(
        Country.KR,
        _korean_date,
        (),
        ("999999-9999999", THIRTEEN),
        ("주민등록번호", "주민번호", "rrn", "resident registration"),
    ),
    Numeric(
        Country.TH,
        _thai,
        ("9-9999-99999-99-9",),
        (THIRTEEN, "9 9999 99999 99 9"),
        ("บัตรประชาชน", "เลขประจำตัว", "thai id"),
    ),
    Numeric(Country.MY, _malaysian, ("999999-99-9999",), (TWELVE,), ("mykad", "nric", "kad pengenalan")),
    Numeric(Country.ID, _indonesian, (), ("9999999999999999",), ("nik", "ktp")),
    Numeric(Country.AU, _australian_tax, (), ("999 999 999", NINE), ("tfn", "tax file")),
    Numeric(Country.AU, _australian_health, (), ("9999 99999 9", "9999-99999-9", "9999999999"), ("medicare",)),
    Numeric(Country.ZA, _south_african, (THIRTEEN, "999999 9999 999", "999999 9999 99 9")),
    Numeric(
        Country.TR, _turkish, (), (ELEVEN,), ("tc kimlik", "t.c. kimlik", "kimlik no", "kimlik numara", "tckn", "tc no")
    ),
    Numeric(
        Country.IL,
        luhn,
        (),
        (NINE, "99999999-9"),
        ("ת.ז", "ת״ז", "תעודת זהות", "מספר זהות", "teudat zehut", "israeli id"),
    ),
)
