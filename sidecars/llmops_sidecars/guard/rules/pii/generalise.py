"""Coarser values: what is left still serves an answer, and many people share it (k-anonymity).

| kind | becomes | why this band |
| --- | --- | --- |
| Age | five years, from 90 on one band | the bands of censuses; HIPAA's safe harbour joins those above 89 |
| DateOfBirth | the decade | a year with a place and a sex is nearly a name |
| PostalAddress | a state or a region, and the first two characters of the postcode | hundreds of thousands live there |
| IPAddress | its network of 24 or 48 bits | what one provider gives to a site |
| Phone | the country's calling code | |
| Email | the top-level domain | |
| IBAN, NationalId | the country, where the value tells it | |
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import re2

from llmops_sidecars.contract import PiiEntity
from llmops_sidecars.guard.rules.pii.dates import year_of
from llmops_sidecars.guard.rules.pii.phones import calling_code
from llmops_sidecars.guard.rules.scan import options

AGE_BAND, OLDEST_BAND = 5, 90
IPV4_PREFIX, IPV6_PREFIX = 24, 48

POSTCODE = re2.compile(
    r"[,\n](?s:.*)[ ,\n](?:[A-Z]{1,2}-)?([A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|\d{5}(?:-\d{3,4})?"
    r"|\d{2}-\d{3}|\d{4}-\d{3}|\d{3} \d{2}|\d{6}|\d{4} [\p{L} ]+)\b",
    options(),
)
STATE = re2.compile(r"\b([A-Z]{2}),? \d{5}\b|\b(NSW|VIC|QLD|WA|SA|TAS|ACT|NT) \d{4}\b", options())


def generalised(entity: PiiEntity, said: str) -> str:
    """What stands in the place of a value; a label alone where a coarser one would say too much or nothing."""
    return BANDS[entity](said) if entity in BANDS else ""


def _age(said: str) -> str:
    age = int(said)
    if age >= OLDEST_BAND:
        return f"{OLDEST_BAND}+"
    first = age - age % AGE_BAND
    return f"{first}-{first + AGE_BAND - 1}"


def _decade(said: str) -> str:
    year = year_of(said)
    return "" if year is None else f"{year - year % 10}s"


def _network(said: str) -> str:
    address = ipaddress.ip_address(said)
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX  # noqa: PLR2004 - IPv4
    return str(ipaddress.ip_network((address, prefix), strict=False))


def _calling_code(said: str) -> str:
    code = calling_code(said)
    return f"[PHONE +{code}]" if code else ""


def _top_level(said: str) -> str:
    return f"[EMAIL .{said.rpartition('.')[2].lower()}]"


def _bank_country(said: str) -> str:
    return f"[IBAN {said[:2].upper()}]"


def _region(said: str) -> str:
    """The state, and the first two characters of the postcode."""
    state, postcode = STATE.search(said), POSTCODE.search(said)
    known = next(filter(None, state.groups())) if state else ""
    told = " ".join(filter(None, (known, postcode.group(1)[:2] if postcode else "")))
    return f"[ADDRESS {told}]" if told else ""


BANDS: dict[PiiEntity, Callable[[str], str]] = {
    PiiEntity.AGE: _age,
    PiiEntity.DATE_OF_BIRTH: _decade,
    PiiEntity.IP_ADDRESS: _network,
    PiiEntity.PHONE: _calling_code,
    PiiEntity.EMAIL: _top_level,
    PiiEntity.IBAN: _bank_country,
    PiiEntity.POSTAL_ADDRESS: _region,
}
