r"""Grammars of texts: templates in files, expanded by a seeded generator.

A file holds sections, each a line `== LABEL KIND` and templates, one a line; `//` begins a comment. In a template
`[a|b|]` is a choice, `{name}` something from the list of that name (a section `== list NAME`, of the same file first,
then of the family's `common` file), `\\n` a line break; a backslash before a bracket or brace leaves it as it is.
Under `== verbatim LABEL KIND` texts stand as they are, with lines of `---` between them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Make = Callable[[random.Random], str]

COMMON = "common"


@dataclass(frozen=True)
class Template:
    """One line of a grammar: `source` is the line, `label` and `kind` its section's, `language` its file's."""

    source: str
    label: str
    kind: str
    language: str
    make: Make = field(compare=False, repr=False)


class GrammarError(Exception):
    """A line that is no template; says which and why."""


def read(directory: Path, builtin: Mapping[str, Make]) -> list[Template]:
    """All templates of a family; raises GrammarError."""
    common = _lists(directory / f"{COMMON}.txt", dict(builtin))
    found: list[Template] = []
    for path in sorted(directory.glob("*.txt")):
        lists = _lists(path, common)
        language = path.stem.split("-")[0]
        for label, kind, source, verbatim in _lines(path):
            if label != "list":
                make = _constant(source) if verbatim else _parse(source, lists, path)
                found.append(Template(source, label, kind, language, make))
    return found


def _lists(path: Path, known: Mapping[str, Make]) -> dict[str, Make]:
    """The lists of a file, made when first used, so that they may use each other."""
    lists = dict(known)
    entries: dict[str, list[str]] = {}
    for label, kind, source, _ in _lines(path):
        if label == "list":
            entries.setdefault(kind, []).append(source)
    for name, sources in entries.items():
        lists[name] = _choice([_later(source, lists, path) for source in sources])
    return lists


def _later(source: str, lists: Mapping[str, Make], path: Path) -> Make:
    made: list[Make] = []

    def make(chance: random.Random) -> str:
        if not made:
            made.append(_parse(source, lists, path))
        return made[0](chance)

    return make


def _lines(path: Path) -> Iterator[tuple[str, str, str, bool]]:
    """Label, kind and template of each line, and whether it stands as it is."""
    label, kind, verbatim, gathered = "", "", False, list[str]()
    for line in [*path.read_text(encoding="utf-8").splitlines(), "== end end"]:
        if line.startswith("== ") or (verbatim and line == "---"):
            if verbatim and any(gathered):
                yield label, kind, "\n".join(gathered).strip("\n"), True
            gathered = []
            if line.startswith("== "):
                *flags, label, kind = line[3:].split()
                verbatim = flags == ["verbatim"]
        elif verbatim:
            gathered.append(line)
        elif line.strip() and not line.startswith("//"):
            yield label, kind, line, False


def _constant(text: str) -> Make:
    return lambda _: text


def _choice(ways: list[Make]) -> Make:
    return lambda chance: ways[chance.randrange(len(ways))](chance)


def _together(parts: list[Make]) -> Make:
    return lambda chance: "".join(part(chance) for part in parts)


def _parse(source: str, lists: Mapping[str, Make], path: Path) -> Make:
    """The template of a line."""
    make, end = _sequence(source, 0, lists, path)
    if end != len(source):
        raise GrammarError(f"{path.name}: a closing bracket without its opening one in {source!r}")
    return make


def _sequence(source: str, start: int, lists: Mapping[str, Make], path: Path) -> tuple[Make, int]:
    """Up to the end, or to the sign that ends a way of a choice."""
    parts: list[Make] = []
    place = start
    while place < len(source) and source[place] not in "|]":
        made, place = _part(source, place, lists, path)
        parts.append(made)
    return _together(parts), place


def _part(source: str, place: int, lists: Mapping[str, Make], path: Path) -> tuple[Make, int]:
    character = source[place]
    if character == "\\":
        escaped = source[place + 1 : place + 2]
        return _constant({"n": "\n", "t": "\t"}.get(escaped, escaped)), place + 2
    if character == "[":
        return _ways(source, place + 1, lists, path)
    if character == "{":
        end = source.find("}", place)
        name = source[place + 1 : end]
        if name not in lists:
            raise GrammarError(f"{path.name}: no list {name!r} for {source!r}")
        return lists[name], end + 1
    end = place
    while end < len(source) and source[end] not in "\\[]{|":
        end += 1
    return _constant(source[place:end]), end


def _ways(source: str, place: int, lists: Mapping[str, Make], path: Path) -> tuple[Make, int]:
    ways: list[Make] = []
    while True:
        way, place = _sequence(source, place, lists, path)
        ways.append(way)
        if place >= len(source):
            raise GrammarError(f"{path.name}: a bracket is not closed in {source!r}")
        if source[place] == "]":
            return _choice(ways), place + 1
        place += 1
