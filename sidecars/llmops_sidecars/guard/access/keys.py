"""API keys: a directory with a file for each tenant, whose lines are its keys.

Kept are the keys' SHA-256 digests, and a caller's key is looked up by its own. So nothing is ever compared with a key,
and how far a guess is right shows in no time that a request takes: digests of keys that differ in their last character
have nothing in common.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from llmops_sidecars.proxy.watched import UnusableError, Watched, read_up_to

TENANT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
"""A tenant's name: what a key of a Secret may be, within the length of a label."""

KEY_CHARACTERS = re.compile(r"[!-~]+")
LEAST_CHARACTERS, MOST_CHARACTERS = 16, 512
"""Of a key: what is shorter can be guessed."""

MOST_BYTES = 1024 * 1024
"""Of all files: a Secret holds no more."""


@dataclass(frozen=True)
class Key:
    """One key, by its digest, and whose it is."""

    digest: bytes = field(repr=False)
    tenant: str


@dataclass(frozen=True)
class Keys:
    """All keys, by their digests."""

    by_digest: Mapping[bytes, Key] = field(default_factory=dict, repr=False)

    def tenant(self, key: str) -> str | None:
        """Whose key it is; None when it is nobody's."""
        asked = _digest(key)
        known = self.by_digest.get(asked)
        return known.tenant if known is not None and hmac.compare_digest(known.digest, asked) else None

    @cached_property
    def tenants(self) -> frozenset[str]:
        """All that have a key."""
        return frozenset(key.tenant for key in self.by_digest.values())


class KeyFiles(Watched[Keys]):
    """The keys in a directory, as a Secret is mounted: the last good ones if a file is broken, none without files."""

    def __init__(self, directory: Path) -> None:
        super().__init__("API keys")
        self.directory = directory

    def files(self) -> Iterable[Path]:
        """What changes with any key: the folder that the kubelet swaps, or, where there is none, all files."""
        swapped = self.directory / "..data"
        return (swapped,) if swapped.exists() else self._tenants()

    def _tenants(self) -> list[Path]:
        """The files of the tenants; what the kubelet needs for itself begins with two dots."""
        return sorted(path for path in self.directory.iterdir() if not path.name.startswith(".."))

    @property
    def tenants(self) -> frozenset[str]:
        """All that have a key now."""
        return self.current.tenants if self.current is not None else frozenset()

    @property
    def problem(self) -> str | None:
        """What is not as it should be; None when all is well."""
        return self.error or (None if self.tenants else "there is no key, so that everybody is refused")

    def load(self) -> Keys:
        """The keys of all files."""
        return parse({path.name: read_up_to(path, MOST_BYTES) for path in self._tenants()})

    def details(self, value: Keys | None) -> dict[str, Any]:
        """How many there are."""
        return {"tenants": len(value.tenants), "keys": len(value.by_digest)} if value else {}


def parse(files: Mapping[str, bytes]) -> Keys:
    """The keys in files by their tenants' names. A line is a key; lines that are empty or begin with # are none.

    Raises UnusableError, which names file and line and holds no key.
    """
    if sum(map(len, files.values())) > MOST_BYTES:
        raise UnusableError(f"the keys take more than {MOST_BYTES} bytes together")
    keys: dict[bytes, Key] = {}
    for tenant, content in files.items():
        if not TENANT.fullmatch(tenant):
            raise UnusableError(f"{tenant!r} cannot be a tenant: up to 63 letters, digits and - . _ between them")
        for number, line in enumerate(content.splitlines(), start=1):
            text = line.strip().decode("latin-1")
            if text and not text.startswith("#"):
                _add(keys, f"{tenant}, line {number}", _key(f"{tenant}, line {number}", tenant, text))
    return Keys(keys)


def _key(where: str, tenant: str, text: str) -> Key:
    if not (KEY_CHARACTERS.fullmatch(text) and LEAST_CHARACTERS <= len(text) <= MOST_CHARACTERS):
        needs = f"{LEAST_CHARACTERS} to {MOST_CHARACTERS} visible ASCII characters without spaces"
        raise UnusableError(f"{where}: a key has {needs}")
    return Key(_digest(text), tenant)


def _add(keys: dict[bytes, Key], where: str, key: Key) -> None:
    owner = keys.setdefault(key.digest, key).tenant
    if owner != key.tenant:
        raise UnusableError(f"{where}: the key is {owner}'s already")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("latin-1", "replace")).digest()
