"""Texts with personal data and secrets whose places are known, and with things that only look like them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.judgement.values import ENTITIES, FIRST, LAST, LOOKALIKES, NATIONAL, SECRETS

SEED = 91
EACH, HARMLESS = 120, 400

NATIONAL_ID, SECRET = "NationalId", "Secret"

HINTS = {
    "Email": ("e-mail", "mail", "Kontakt", "courriel", "correo"),
    "Phone": ("phone", "tel.", "Telefon", "call", "móvil"),
    "CreditCard": ("card", "Kreditkarte", "carte", "credit card number"),
    "IBAN": ("IBAN", "account", "Konto", "compte"),
    "IPAddress": ("IP", "client", "host", "from address"),
    "MACAddress": ("MAC", "device", "hardware address"),
    "CryptoAddress": ("wallet", "address", "ETH"),
    "DateOfBirth": ("born on", "date of birth", "DOB", "geboren am", "né le", "fecha de nacimiento"),
    "PostalAddress": ("address", "lives at", "ship to", "Anschrift"),
    SECRET: ("key", "token", "secret", "API key"),
}

PROSE = (
    "Please update my profile, {hint}: {value}. Thanks!",
    "{name} wrote that the {hint} is {value} and asked for a reply.",
    "Customer {name} ({hint} {value}) called about the order.",
    "Bitte ändern Sie meine Daten: {hint} {value}, danke.",
    "Voici mes coordonnées : {hint} {value}. Merci.",
    "Mis datos: {hint}: {value}",
    "{hint}: {value}",
    "Can you check whether {value} is the right {hint}?",
)
TABLES = (
    "name,{hint},note\n{name},{value},new\n",
    "| name | {hint} |\n| --- | --- |\n| {name} | {value} |\n",
    '{{"name": "{name}", "{hint}": "{value}", "active": true}}',
    "2031-04-05T10:11:12Z INFO user={name} {hint}={value} status=ok",
    '<contact><name>{name}</name><field label="{hint}">{value}</field></contact>',
    "Name: {name}\n{hint}: {value}\nNote: call back",
)
HARMLESS_TEXTS = (
    "The {thing} is {value}, please confirm.",
    "Look up {thing} {value} in the system.",
    '{{"{thing}": "{value}", "ok": false}}',
    "{thing}: {value}\nstate: closed",
    "We changed {value} to {other} last week.",
    "Das Feld {thing} enthält {value} und {other}.",
)


@dataclass(frozen=True)
class Marked:
    """A text with what is in it: entity, start, end."""

    text: str
    places: tuple[tuple[str, int, int], ...]


def texts(seed: int = SEED) -> list[Marked]:
    """All texts, the same on every run."""
    chance = random.Random(seed)
    return [*_with_data(chance), *_without(chance)]


def _with_data(chance: random.Random) -> Iterator[Marked]:
    for entity, make in ENTITIES.items():
        for _ in range(EACH):
            yield _filled(entity, chance.choice(HINTS[entity]), make(chance), chance)
    for hint, make in NATIONAL.values():
        for _ in range(EACH // 6):
            yield _filled(NATIONAL_ID, hint, make(chance), chance)
    for make in SECRETS.values():
        for _ in range(EACH // 10):
            yield _filled(SECRET, chance.choice(HINTS[SECRET]), make(chance), chance)


def _filled(entity: str, hint: str, value: str, chance: random.Random) -> Marked:
    pattern = chance.choice(PROSE if chance.random() < 0.6 else TABLES)
    name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
    before, after = (part.format(hint=hint, name=name) for part in pattern.split("{value}"))
    return Marked(before + value + after, ((entity, len(before), len(before) + len(value)),))


def _without(chance: random.Random) -> Iterator[Marked]:
    kinds = list(LOOKALIKES.items())
    for _ in range(HARMLESS):
        thing, make = chance.choice(kinds)
        text = chance.choice(HARMLESS_TEXTS).format(thing=thing, value=make(chance), other=make(chance))
        yield Marked(text, ())
