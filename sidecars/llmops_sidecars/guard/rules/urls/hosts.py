"""Hosts of URLs, read as browsers read them (https://url.spec.whatwg.org), and lists of domains."""

from __future__ import annotations

import re
import unicodedata
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass

from llmops_sidecars.guard.rules.forms import LOOK_ALIKES

BELOW = "*."
"""In front of a domain: any below it."""

LONGEST = 253
"""Characters of a name of the domain name system, which also bounds the work."""

_DOTS = re.compile("[\u3002\uff0e\uff61]")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_PORT = re.compile(r"[0-9]{0,5}")

PASSING = {**LOOK_ALIKES, ord("\u04cf"): ord("l"), ord("\u0131"): ord("i"), ord("\u0261"): ord("g")}
"""Letters that pass for Latin ones in an address line."""


@dataclass(frozen=True)
class Authority:
    """What stands between a URL's slashes; `host` is in lower case, international labels as they are written."""

    host: str
    user_info: bool


def authority(said: str) -> Authority:
    """From what follows a URL's scheme and slashes: a backslash is a slash, the last `@` ends the user's name."""
    whole = re.split(r"[/\\?#]", said, maxsplit=1)[0]
    user, at, place = whole.rpartition("@")
    if place.startswith("["):
        return Authority(place.partition("]")[0] + "]", bool(at))
    name, _, port = place.partition(":")
    return Authority(_readable(name), bool(at or user) or not _PORT.fullmatch(port))


def is_address(host: str) -> bool:
    """Whether a host is a number of the network: version 6, or one whose last part is a number, in any notation."""
    return host.startswith("[") or _NUMBER.fullmatch(host.rpartition(".")[2]) is not None


def passes_for_another(host: str) -> bool:
    """Whether a label mixes alphabets, or is written in another one and reads as Latin, under a Latin ending."""
    labels = [_decoded(label) for label in host.split(".")]
    return labels[-1].isascii() and any(_is_fake(label) for label in labels)


class Domains:
    """A list of domains, as an author writes it."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take them over; raises ValueError for one that is none."""
        self._exact: set[str] = set()
        self._below: set[str] = set()
        for name in names:
            host = canonical(_readable(name.removeprefix(BELOW)))
            if not re.fullmatch(r"[a-z0-9._\-:\[\]]+", host):
                raise ValueError(f"{name!r} is no domain: write example.com, or *.example.com for those below it")
            (self._below if name.startswith(BELOW) else self._exact).add(host)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._exact or self._below)

    def __contains__(self, host: str) -> bool:
        """Whether a host is one of them."""
        if len(host) > LONGEST:
            return False
        name = canonical(host)
        labels = name.split(".")
        return name in self._exact or any(".".join(labels[place:]) in self._below for place in range(1, len(labels)))

    def pattern(self) -> str:
        """An expression that finds them where no URL is around them."""
        exact = [re.escape(name) for name in sorted(self._exact)]
        below = [rf"(?:[A-Za-z0-9\-]+\.)+{re.escape(name)}" for name in sorted(self._below)]
        return rf"(?i)(?:{'|'.join([*below, *exact])})"


def canonical(host: str) -> str:
    """The form in which hosts are compared: international labels in Punycode."""
    return ".".join(_encoded(label) for label in host.split("."))


def _readable(name: str) -> str:
    plain = _DOTS.sub(".", urllib.parse.unquote(name, errors="replace"))
    return unicodedata.normalize("NFKC", plain).lower().rstrip(".")


def _encoded(label: str) -> str:
    if label.isascii():
        return label
    return "xn--" + label.encode("punycode").decode()


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label.removeprefix("xn--").encode("ascii").decode("punycode")
    except (UnicodeError, ValueError):
        return label


def _is_fake(label: str) -> bool:
    if label.isascii():
        return False
    foreign = [letter for letter in label if not letter.isascii()]
    other = [letter for letter in foreign if unicodedata.name(letter, "").partition(" ")[0] in {"CYRILLIC", "GREEK"}]
    latin = any(letter.isascii() and letter.isalpha() for letter in label)
    return bool(other and latin) or all(ord(letter) in PASSING for letter in foreign)
