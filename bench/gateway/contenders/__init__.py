"""Who is measured. A family installs itself and gives its contenders: with nothing on, and with what it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.gateway.processes import Program

NOTHING = "nothing on"
EVERYTHING = "everything on"


@dataclass(frozen=True)
class Place:
    """What a family is given: the upstream's address, and a directory for its configuration."""

    upstream: str
    directory: Path


@dataclass(frozen=True)
class Contender:
    """One gateway with one configuration. `url` ends before `/chat/completions`; `headers` are NAME=VALUE."""

    name: str
    title: str
    url: str
    features: str = NOTHING
    programs: tuple[Program, ...] = ()
    ready: str = ""
    headers: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Made:
    """A family that is installed: its contenders and the versions of what they are."""

    contenders: tuple[Contender, ...]
    versions: Mapping[str, str] = field(default_factory=dict)


Family = Callable[[Place], Made]
"""Installs and configures; raises InstallError."""


def write(place: Place, name: str, text: str) -> Path:
    """A configuration file."""
    path = place.directory / name
    path.write_text(text, encoding="utf-8")
    return path
