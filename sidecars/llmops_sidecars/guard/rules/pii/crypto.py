"""Addresses of Bitcoin and Ethereum, by their checksums."""

from __future__ import annotations

import hashlib

from llmops_sidecars.guard.rules.pii.keccak import keccak_256
from llmops_sidecars.guard.rules.scan import ends_word, starts_word

ADDRESS = (
    r"(?:\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b"
    r"|\b(?:bc1[02-9ac-hj-np-z]{8,87}|BC1[02-9AC-HJ-NP-Z]{8,87})\b"
    r"|\b0x[0-9A-Fa-f]{40}\b)"
)

BASE_58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
VERSIONS = frozenset((0x00, 0x05))
"""Of Bitcoin's main network: pay to a public key's hash, to a script's hash."""

BECH_32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
HUMAN_READABLE = (3, 3, 0, 2, 3)
"""`bc`, expanded as BIP 173 has it."""

FIRST, LATER = 1, 0x2BC830A3
"""What the checksum has to be: for witness version 0 (BIP 173), for later ones (BIP 350)."""


def crypto_addresses(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The candidate, when its checksum is right; an Ethereum address of one case has none."""
    said = text[start:end]
    valid = _ethereum if said.startswith("0x") else _segregated if said[:3].lower() == "bc1" else _base_58
    return [(start, end)] if starts_word(text, start) and ends_word(text, end) and valid(said) else []


def _base_58(said: str) -> bool:
    """Base58Check: a version, 20 bytes, and the first four bytes of their doubled SHA-256."""
    number = 0
    for character in said:
        number = number * 58 + BASE_58.index(character)
    if number >> 200:
        return False
    data = number.to_bytes(25, "big")
    check = hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4]
    return data[0] in VERSIONS and check == data[21:]


def _segregated(said: str) -> bool:
    """Bech32 and Bech32m."""
    values = [BECH_32.index(character) for character in said[3:].lower()]
    checksum = 1
    for value in (*HUMAN_READABLE, *values):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(GENERATOR):
            checksum ^= generator if top >> place & 1 else 0
    return checksum == (FIRST if values[0] == 0 else LATER)


def _ethereum(said: str) -> bool:
    """EIP-55: the case of the letters is the checksum."""
    digits = said[2:]
    if digits in {digits.lower(), digits.upper()}:
        return True
    digest = keccak_256(digits.lower().encode()).hex()
    return all(
        character.isdigit() or character.isupper() == (int(bit, 16) > 7)  # noqa: PLR2004 - the highest of four bits
        for character, bit in zip(digits, digest, strict=False)
    )
