"""National ids of European countries that are numbers. The checks follow the publications of their registrars."""

from __future__ import annotations

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.checksums import is_date, is_short_date, luhn, mod_11_10, weighted
from llmops_sidecars.guard.rules.pii.national.model import Numeric

ELEVEN, TEN = "99999999999", "9999999999"

OLD_MONTHS = (0, 20, 40, 60, 80)
"""What is added to a month to tell the century (PL, BG) or a register (BE, NO)."""


def _british_health(digits: str) -> bool:
    """NHS Data Dictionary, NHS NUMBER: modulus 11."""
    return (weighted(digits, range(10, 1, -1)) + int(digits[9])) % 11 == 0


def _british_tax(digits: str) -> bool:
    """HMRC, unique taxpayer reference: the first digit checks the others."""
    return digits[0] == "21987654321"[weighted(digits[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11]


def _german_tax(digits: str) -> bool:
    """Steuerliche Identifikationsnummer: of the first ten digits one is there twice or three times, all others once."""
    first, different = digits[:10], set(digits[:10])
    twice = len(different) == 9  # noqa: PLR2004 - of ten
    thrice = len(different) == 8 and 3 in map(first.count, different)  # noqa: PLR2004 - of ten
    return digits[0] != "0" and (twice or thrice) and mod_11_10(digits)


def _french(digits: str) -> bool:
    """Numéro d'inscription au répertoire: sex, year, month (more than 12 where it is not known), and a key of 97."""
    month = int(digits[3:5])
    known = digits[0] in "123478" and (1 <= month <= 12 or month >= 20)  # noqa: PLR2004 - months
    return known and (len(digits) < 15 or 97 - int(digits[:13]) % 97 == int(digits[13:]))  # noqa: PLR2004 - with its key


def _dutch(digits: str) -> bool:
    """Burgerservicenummer: the test of eleven."""
    return int(digits) > 0 and (weighted(digits, range(9, 1, -1)) - int(digits[8])) % 11 == 0


def _belgian(digits: str) -> bool:
    """Rijksregisternummer: a date and 97 less the rest of the first nine digits, with a 2 before them since 2000."""
    month = int(digits[2:4]) % 20
    key = int(digits[9:])
    checked = 97 - int(digits[:9]) % 97 == key or 97 - int("2" + digits[:9]) % 97 == key
    return checked and is_short_date(digits[:2], str(month), digits[4:6])


def _polish(digits: str) -> bool:
    """PESEL."""
    checked = (weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) + int(digits[10])) % 10 == 0
    return checked and is_short_date(digits[:2], str(int(digits[2:4]) % 20), digits[4:6])


def _swedish(digits: str) -> bool:
    """Personnummer, or samordningsnummer with 60 added to the day."""
    short = digits[-10:]
    day = int(short[4:6])
    return luhn(short) and is_short_date(short[:2], short[2:4], str(day - 60 if day > 60 else day))  # noqa: PLR2004 - 60


def _norwegian(digits: str) -> bool:
    """Fødselsnummer, or D-nummer with 40 added to the day; two digits check."""
    day, month = int(digits[:2]) % 40, int(digits[2:4]) % 40
    return (
        weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
        and is_short_date(digits[4:6], str(month), str(day))
    )


def _starts_with_day(digits: str) -> bool:
    return is_short_date(digits[4:6], digits[2:4], digits[:2])


def _danish(digits: str) -> bool:
    """CPR-nummer as it was checked before 2007; younger ones are not."""
    return _starts_with_day(digits) and weighted(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _icelandic(digits: str) -> bool:
    """Kennitala; the last digit tells the century."""
    checked = (weighted(digits, (3, 2, 7, 6, 5, 4, 3, 2)) + int(digits[8])) % 11 == 0
    return checked and digits[9] in "890" and _starts_with_day(digits)


def _swiss(digits: str) -> bool:
    """AHV-Nummer: an EAN-13 of the country 756."""
    return digits.startswith("756") and weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def _portuguese(digits: str) -> bool:
    """Número de identificação fiscal of a person."""
    rest = weighted(digits, range(9, 1, -1)) % 11
    return digits[0] in "123" and int(digits[8]) == (0 if rest < 2 else 11 - rest)  # noqa: PLR2004 - 10 and 11 are 0


def _austrian(digits: str) -> bool:
    """Sozialversicherungsnummer: the fourth digit checks; months above 12 tell that the day was taken."""
    checked = weighted(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(digits[3])
    month = min(int(digits[6:8]), 12)
    return checked and digits[0] != "0" and is_short_date(digits[8:], str(month), digits[4:6])


def _romanian(digits: str) -> bool:
    """Cod numeric personal."""
    rest = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return digits[0] in "12345678" and int(digits[12]) == min(rest, 1 if rest == 10 else rest) and _sexed(digits)  # noqa: PLR2004 - 10 is 1


def _sexed(digits: str) -> bool:
    """A date behind a digit that tells sex and century."""
    return is_short_date(digits[1:3], digits[3:5], digits[5:7])


def _baltic(digits: str) -> bool:
    """Isikukood and asmens kodas."""
    rest = weighted(digits, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:  # noqa: PLR2004 - then other weights count
        rest = weighted(digits, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return digits[0] in "12345678" and rest == int(digits[10]) and _sexed(digits)


def _latvian(digits: str) -> bool:
    """Personas kods of before 2017: since then it begins with 32 and tells nothing."""
    rest = (1 + weighted(digits, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10
    return digits.startswith("32") or (rest == int(digits[10]) and _starts_with_day(digits))


def _bulgarian(digits: str) -> bool:
    """ЕГН."""
    rest = weighted(digits, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return rest == int(digits[9]) and is_short_date(digits[:2], str(int(digits[2:4]) % 20), digits[4:6])


def _czech(digits: str) -> bool:
    """Rodné číslo since 1954: women have 50 added to the month, some people 20 more."""
    checked = int(digits) % 11 == 0 or (int(digits[:9]) % 11 == 10 and digits[9] == "0")  # noqa: PLR2004 - 10 is 0
    return checked and is_short_date(digits[:2], str(int(digits[2:4]) % 50 % 20), digits[4:6])


def _yugoslavian(digits: str) -> bool:
    """JMBG and EMŠO."""
    rest = (11 - weighted(digits, (7, 6, 5, 4, 3, 2) * 2) % 11) % 11
    year = int(digits[4:7])
    dated = is_date(year + (1000 if year > 800 else 2000), int(digits[2:4]), int(digits[:2]))  # noqa: PLR2004 - of 1900
    return rest == int(digits[12]) and dated


def _greek(digits: str) -> bool:
    """AMKA."""
    return luhn(digits) and _starts_with_day(digits)


def _hungarian(digits: str) -> bool:
    """TAJ-szám."""
    return weighted(digits, (3, 7) * 4) % 10 == int(digits[8])


def _russian_insurance(digits: str) -> bool:
    """СНИЛС."""
    return weighted(digits, range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def _russian_tax(digits: str) -> bool:
    """ИНН of a person."""
    first = weighted(digits, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weighted(digits, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return (first, second) == (int(digits[10]), int(digits[11]))


def _ukrainian(digits: str) -> bool:
    """РНОКПП."""
    return weighted(digits, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(digits[9])


IDS = (
    Numeric(
        Country.GB,
        _british_health,
        (),
        ("999 999 9999", "999-999-9999", TEN),
        ("nhs", "national health", "health number"),
    ),
    Numeric(Country.GB, _british_tax, (), ("99999 99999", TEN), ("utr", "unique taxpayer")),
    Numeric(Country.DE, _german_tax, ("99 999 999 999", "99 999 999 99 9", ELEVEN)),
    Numeric(
        Country.FR,
        _french,
        ("9 99 99 99 999 999 99", "999999999999999", "9 99 99 99 999 99999", "9999999999999 99"),
        ("9 99 99 99 999 999", "9999999999999"),
        ("sécurité sociale", "securite sociale", "sécu", "nir", "insee"),
    ),
    Numeric(
        Country.NL,
        _dutch,
        (),
        ("999999999", "9999.99.999", "999 999 999", "999.999.999", "9999 99 999"),
        ("bsn", "burgerservicenummer", "burger service nummer", "sofinummer", "sofi", "citizen service"),
    ),
    Numeric(
        Country.BE,
        _belgian,
        (
            "99.99.99-999.99",
            "99.99.99-999-99",
            "99.99.99.999.99",
            "99 99 99 999 99",
            "999999-999-99",
            "999999 999 99",
            ELEVEN,
        ),
    ),
    Numeric(Country.PL, _polish, (), (ELEVEN,), ("pesel",)),
    Numeric(
        Country.SE,
        _swedish,
        ("999999-9999", "99999999-9999"),
        (TEN, "999999999999", "999999 9999", "99999999 9999"),
        ("personnummer", "personnr", "pnr", "samordningsnummer", "personal number", "personal identity"),
    ),
    Numeric(Country.NO, _norwegian, (ELEVEN, "999999 99999")),
    Numeric(Country.DK, _danish, ("999999-9999",)),
    Numeric(
        Country.DK,
        _starts_with_day,
        (),
        ("999999-9999", "999999 9999", TEN),
        ("cpr", "cpr-nummer", "cpr-nr", "personnummer", "civil registration"),
    ),
    Numeric(Country.IS, _icelandic, ("999999-9999",), (TEN,), ("kennitala", "kt")),
    Numeric(Country.CH, _swiss, ("999.9999.9999.99", "999 9999 9999 99", "9999999999999")),
    Numeric(
        Country.PT,
        _portuguese,
        (),
        ("999999999", "999 999 999"),
        ("nif", "contribuinte", "número fiscal", "numero fiscal"),
    ),
    Numeric(
        Country.AT,
        _austrian,
        ("9999 999999", "9999 99 99 99"),
        (TEN,),
        ("sozialversicherungsnummer", "svnr", "sv-nummer", "sv-nr", "versicherungsnummer"),
    ),
    Numeric(Country.RO, _romanian, ("9999999999999",)),
    Numeric(Country.EE, _baltic, (ELEVEN,)),
    Numeric(Country.LT, _baltic, (ELEVEN,)),
    Numeric(Country.LV, _latvian, ("999999-99999",), (ELEVEN,), ("personas kods", "personas kod")),
    Numeric(Country.BG, _bulgarian, (), (TEN,), ("егн", "egn")),
    Numeric(Country.CZ, _czech, ("999999/9999",), (TEN, "999999 9999"), ("rodné číslo", "rodne cislo", "rodné č")),
    Numeric(Country.SK, _czech, ("999999/9999",), (TEN, "999999 9999"), ("rodné číslo", "rodne cislo", "rodné č")),
    Numeric(Country.HR, mod_11_10, (), (ELEVEN,), ("oib",)),
    Numeric(Country.RS, _yugoslavian, ("9999999999999",)),
    Numeric(Country.SI, _yugoslavian, ("9999999999999",)),
    Numeric(Country.GR, _greek, (), (ELEVEN, "999999 99999"), ("αμκα", "amka", "α.μ.κ.α")),
    Numeric(Country.HU, _hungarian, (), ("999 999 999", "999-999-999", "999999999"), ("taj", "tajszám", "taj-szám")),
    Numeric(Country.RU, _russian_insurance, ("999-999-999 99", "999-999-999-99"), (ELEVEN,), ("снилс", "snils")),
    Numeric(Country.RU, _russian_tax, (), ("999999999999",), ("инн", "inn")),
    Numeric(Country.UA, _ukrainian, (), (TEN,), ("рнокпп", "іпн", "рнокпп", "rnokpp", "ідентифікаційний")),
)
