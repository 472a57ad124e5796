"""Calling codes of countries: ITU-T E.164, list of assigned country codes."""

from __future__ import annotations

from llmops_sidecars.contract import Country
from llmops_sidecars.guard.rules.pii.words import listed

TWO_DIGITS = frozenset(
    listed(
        "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
        "86 90 91 92 93 94 95 98"
    )
)

CALLING_CODES = {
    Country.AR: "54",
    Country.AT: "43",
    Country.AU: "61",
    Country.BE: "32",
    Country.BG: "359",
    Country.BR: "55",
    Country.CA: "1",
    Country.CH: "41",
    Country.CL: "56",
    Country.CN: "86",
    Country.CZ: "420",
    Country.DE: "49",
    Country.DK: "45",
    Country.EE: "372",
    Country.ES: "34",
    Country.FI: "358",
    Country.FR: "33",
    Country.GB: "44",
    Country.GR: "30",
    Country.HK: "852",
    Country.HR: "385",
    Country.HU: "36",
    Country.ID: "62",
    Country.IE: "353",
    Country.IL: "972",
    Country.IN: "91",
    Country.IS: "354",
    Country.IT: "39",
    Country.JP: "81",
    Country.KR: "82",
    Country.LT: "370",
    Country.LV: "371",
    Country.MX: "52",
    Country.MY: "60",
    Country.NL: "31",
    Country.NO: "47",
    Country.PK: "92",
    Country.PL: "48",
    Country.PT: "351",
    Country.RO: "40",
    Country.RS: "381",
    Country.RU: "7",
    Country.SE: "46",
    Country.SG: "65",
    Country.SI: "386",
    Country.SK: "421",
    Country.TH: "66",
    Country.TR: "90",
    Country.TW: "886",
    Country.UA: "380",
    Country.US: "1",
    Country.ZA: "27",
}

NO_TRUNK_ZERO = listed("CA CL CZ DK EE ES GR HK HU IS LT LV MX NO PL PT RU SG US")
"""Countries that put no 0 before a number at home."""

TRUNK_ZERO = tuple(country for country in Country if country not in NO_TRUNK_ZERO)

CODES = {code: tuple(one for one in Country if CALLING_CODES[one] == code) for code in set(CALLING_CODES.values())}
"""From a calling code to the countries that have it."""


def split_code(digits: str) -> str:
    """The calling code that an international number begins with."""
    if digits[:1] in {"1", "7"}:
        return digits[:1]
    return digits[:2] if digits[:2] in TWO_DIGITS else digits[:3]
