"""National ids with letters in them."""

from __future__ import annotations

from itertools import pairwise

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.checksums import is_short_date, weighted
from llmops_sidecars.guard.rules.pii.national.model import Lettered
from llmops_sidecars.guard.rules.pii.national.world import chinese

BRITISH_UNUSED = frozenset(("BG", "GB", "NK", "KN", "TN", "NT", "ZZ"))
"""HMRC: prefixes that are not given."""

SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
IRISH = "WABCDEFGHIJKLMNOPQRSTUV"
MEXICAN = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
TAIWANESE = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""In the order of their numbers, from 10 on."""

SINGAPOREAN = {
    "S": (0, "JZIHGFEDCBA"),
    "T": (4, "JZIHGFEDCBA"),
    "F": (0, "XWUTRQPNMLK"),
    "G": (4, "XWUTRQPNMLK"),
    "M": (3, "KLJNPQRTUWX"),
}
"""By first letter: what is added, and the letters that check."""

ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""What the letters A to Z count at odd places; the digits count as A to J."""

ITALIAN_DIGITS = str.maketrans("LMNPQRSTUV", "0123456789")
"""Letters that stand for digits where two people would share a code."""

ITALIAN_MONTHS = "ABCDEHLMPRST"


def _british(number: str) -> bool:
    """National insurance number: it has no check."""
    return number[:2] not in BRITISH_UNUSED


def _german_pension(number: str) -> bool:
    """Versicherungsnummer of the Deutsche Rentenversicherung: the letter counts as two digits."""
    digits = f"{number[:8]}{ord(number[8]) - 64:02}{number[9:]}"
    crossed = sum(
        sum(divmod(int(digit) * weight, 10))
        for digit, weight in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False)
    )
    return crossed % 10 == int(digits[12]) and is_short_date(digits[6:8], digits[4:6], digits[2:4])


def _german_card(number: str) -> bool:
    """ICAO 9303: weights 7, 3, 1, letters from 10 on."""
    return sum(int(one, 36) * weight for one, weight in zip(number, (7, 3, 1) * 3, strict=False)) % 10 == int(number[9])


def _french(number: str) -> bool:
    """Numéro d'inscription au répertoire of somebody born on Corsica: 2A counts as 19, 2B as 18."""
    digits = number.replace("2A", "19").replace("2B", "18")
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def _spanish(number: str) -> bool:
    """DNI, and NIE, whose first letter stands for a digit."""
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return SPANISH[int(digits) % 23] == number[-1]


def _italian(number: str) -> bool:
    """Codice fiscale."""
    values = [ord(one) - 65 if one.isalpha() else int(one) for one in number]
    total = sum(ITALIAN_ODD[value] for value in values[:15:2]) + sum(values[1:15:2])
    year, day = (number[place : place + 2].translate(ITALIAN_DIGITS) for place in (6, 9))
    month = str(ITALIAN_MONTHS.index(number[8]) + 1)
    return total % 26 == values[15] and is_short_date(year, month, str(int(day) % 40))


def _finnish(number: str) -> bool:
    """Henkilötunnus."""
    checked = FINNISH[int(number[:6] + number[-4:-1]) % 31] == number[-1]
    return checked and is_short_date(number[4:6], number[2:4], number[:2])


def _irish(number: str) -> bool:
    """Personal public service number; a second letter counts nine times."""
    extra = ord(number[8]) - 64 if len(number) > 8 and number[8] != "W" else 0  # noqa: PLR2004 - seven digits, two letters
    return IRISH[(weighted(number[:7], range(8, 1, -1)) + 9 * extra) % 23] == number[7]


def _mexican(number: str) -> bool:
    """CURP."""
    total = sum(MEXICAN.index(one) * (18 - place) for place, one in enumerate(number[:17]))
    return (10 - total % 10) % 10 == int(number[17]) and is_short_date(number[4:6], number[6:8], number[8:10])


def _taiwanese(number: str) -> bool:
    """身分證字號."""
    digits = f"{TAIWANESE.index(number[0]) + 10}{number[1:]}"
    return weighted(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def _hong_kong(number: str) -> bool:
    """Identity card: letters count from 10 on, a missing first one 36, the check A is 10."""
    values = [int(one, 36) for one in number]
    values = values if len(values) == 9 else [36, *values]  # noqa: PLR2004 - with two letters
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def _singaporean(number: str) -> bool:
    """NRIC and FIN."""
    added, letters = SINGAPOREAN[number[0]]
    rest = (weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2)) + added) % 11
    return letters[rest] == number[8]


def _chilean(number: str) -> bool:
    """RUT whose check is K, for ten."""
    return weighted(number[-2::-1], (2, 3, 4, 5, 6, 7) * 2) % 11 == 1


def _indian_tax(number: str) -> bool:
    """Permanent account number of a person; letters do not run in order."""
    return any(ord(second) - ord(first) != 1 for first, second in pairwise(number[:5]))


IDS = (
    Lettered(
        Country.GB,
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
        r"(?:\d{6}| \d{2} \d{2} \d{2} |\d{2} \d{2} \d{2} | \d{6} |-\d{2}-\d{2}-\d{2}-)[A-D]",
        _british,
    ),
    Lettered(Country.DE, r"\d{2} ?\d{6} ?[A-Z] ?\d{2} ?\d", _german_pension),
    Lettered(
        Country.DE,
        r"[CFGHJKLMNPRTVWXYZ][CFGHJKLMNPRTVWXYZ0-9]{8}\d",
        _german_card,
        (
            "personalausweis",
            "ausweisnummer",
            "ausweis-nr",
            "ausweis",
            "reisepass",
            "identity card",
            "id card",
            "passport",
        ),
    ),
    Lettered(Country.FR, r"2[AB] ?\d{3} ?\d{3} ?\d{2}", _french, before=r"[1-478] ?\d{2} ?\d{2} ?"),
    Lettered(Country.ES, r"(?:\d{8}|\d{2}\.\d{3}\.\d{3}|[XYZ][ \-]?\d{7})[ \-]?[A-HJ-NP-TV-Z]", _spanish),
    Lettered(
        Country.IT,
        r"(?i)\d[0-9L-NP-V][A-EHLMPR-T][0-9L-NP-V]{2} ?[A-Z][0-9L-NP-V]{3}[A-Z]",
        _italian,
        before=r"(?i)[A-Z]{3} ?[A-Z]{3} ?",
    ),
    Lettered(Country.FI, r"(?i)\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", _finnish),
    Lettered(Country.IE, r"(?i)\d{7} ?[A-W][A-IW]?", _irish, ("pps", "ppsn", "personal public service")),
    Lettered(
        Country.MX,
        r"(?i)\d{6}[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[0-9A-Z]\d",
        _mexican,
        before=r"(?i)[A-Z][AEIOUX][A-Z]{2}",
    ),
    Lettered(Country.TW, r"[A-Z][1289]\d{8}", _taiwanese),
    Lettered(Country.HK, r"[A-Z]{1,2}\d{6} ?\([0-9A]\)", _hong_kong),
    Lettered(Country.SG, r"[STFGM]\d{7}[A-Z]", _singaporean),
    Lettered(Country.CN, r"\d{17}[Xx]", chinese),
    Lettered(Country.CL, r"\d{1,2}\.\d{3}\.\d{3}-[Kk]", _chilean),
    Lettered(Country.IN, r"[A-Z]{3}P[A-Z]\d{4}[A-Z]", _indian_tax),
)
