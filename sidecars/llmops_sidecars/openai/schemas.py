"""JSON schemas that clients send, made for use within bounds, and the answers that have to conform to them.

A schema is a program of its author: references may multiply, or never end. So before one is used it is known how many
of its parts can look at one place of a document, at each depth: the sum of all work is bounded before it begins.
Nothing is fetched; patterns run in linear time.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import jsonschema_rs
import msgspec

MOST_PARTS = 1000
"""Schemas inside a schema, and values in their lists."""

MOST_PATTERNS = 100
MOST_PATTERN_CHARACTERS = 1024
MOST_PATTERN_BYTES = 256 * 1024
"""What a pattern may take when it has been made for use."""

MOST_LEVELS = 32
"""Levels of a document that is held against a schema."""

MOST_WORK = 500_000
"""Looks of a part of a schema at a place of a document: some tens of milliseconds."""

REMEMBERED = 64
"""Schemas that are kept made: a client sends the same one again and again."""

_BESIDE = ("allOf", "anyOf", "oneOf")
_BESIDE_ONE = ("not", "if", "then", "else")
_BELOW = ("items", "additionalProperties", "propertyNames", "contains")
_REFUSED = frozenset(
    {
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "$recursiveAnchor",
        "$vocabulary",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords of which it cannot be told beforehand where they lead, or what they cost."""

_ANY = None
"""The name of a place below that any name or number may have."""


class SchemaError(ValueError):
    """The schema cannot be used; the message says why, in words of JSON Schema only."""


class Schema:
    """A schema, ready for use: `Schema.of(document)` gives the one that was made before, if it was."""

    _made: ClassVar[OrderedDict[bytes, Schema]] = OrderedDict()

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Make it; raises SchemaError."""
        document = {name: value for name, value in document.items() if name not in {"$id", "$schema"}}
        graph = _Graph(document)
        self.parts = graph.parts
        self._work = _work(graph)
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                document, offline=True, pattern_options=jsonschema_rs.RegexOptions(size_limit=MOST_PATTERN_BYTES)
            )
        except (ValueError, OverflowError) as error:
            raise SchemaError(f"it is no valid JSON schema{_where(error)}") from error

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Schema:
        """Make a schema, or find it made; raises SchemaError."""
        key = hashlib.sha256(msgspec.json.encode(document)).digest()
        schema = cls._made.get(key) or cls(document)
        cls._made[key] = schema
        cls._made.move_to_end(key)
        while len(cls._made) > REMEMBERED:
            cls._made.popitem(last=False)
        return schema

    def mismatch(self, value: Any) -> str | None:
        """Why a value does not conform: which part of the schema says no, never what was said; None when it does."""
        places, levels = _extent(value)
        if levels > MOST_LEVELS:
            return f"it is nested more than {MOST_LEVELS} levels deep"
        if places * self._work[min(levels, len(self._work)) - 1] > MOST_WORK:
            return "it is too large to be held against this schema"
        if self._validator.is_valid(value):
            return None
        error = next(iter(self._validator.iter_errors(value)))
        return f"the schema says no at {'/'.join(str(step) for step in error.schema_path) or 'its root'}"


def _where(error: Exception) -> str:
    path = getattr(error, "instance_path", ())
    return f", at {'/'.join(str(step) for step in path)}" if path else ""


class _Part:
    """A schema inside the schema: the parts that look at the same place, and at places below it, by name."""

    def __init__(self, document: Any, weight: int) -> None:
        self.document, self.weight = document, weight
        self.beside: list[_Part] = []
        self.below: list[tuple[str | None, _Part]] = []


class _Graph:
    """All parts of a schema, those that look at the same place in order: whoever sends to another comes first."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._root, self._known = document, dict[int, _Part]()
        self.parts = self._patterns = 0
        self.root = self._part(document)
        self.in_order = _in_order(self.root)

    def _part(self, document: Any) -> _Part:
        """The part that a document is, and all that it leads to."""
        if id(document) in self._known:
            return self._known[id(document)]
        first = self._new(document)
        waiting = [first]
        while waiting:
            part = waiting.pop()
            if not isinstance(part.document, dict):
                continue
            for name, led_to, beside in _edges(part.document):
                target = self._resolved(led_to) if isinstance(led_to, str) else led_to
                known = self._known.get(id(target))
                if known is None:
                    known = self._new(target)
                    waiting.append(known)
                if beside:
                    part.beside.append(known)
                else:
                    part.below.append((name, known))
        return first

    def _new(self, document: Any) -> _Part:
        if not isinstance(document, dict | bool):
            raise SchemaError("a schema inside it is neither an object nor a boolean")
        part = _Part(document, 1)
        if isinstance(document, dict):
            refused = _REFUSED & document.keys()
            if refused:
                raise SchemaError(f"{min(refused)} is not supported")
            values = document.get("enum")
            part.weight += len(values) if isinstance(values, list) else 0
            self._count_patterns(document)
        self.parts += part.weight
        if self.parts > MOST_PARTS:
            raise SchemaError(f"it has more than {MOST_PARTS} parts")
        self._known[id(document)] = part
        return part

    def _count_patterns(self, document: Mapping[str, Any]) -> None:
        patterns = [
            *_mapped(document.get("patternProperties")),
            *([document["pattern"]] if "pattern" in document else ()),
        ]
        self._patterns += len(patterns)
        if self._patterns > MOST_PATTERNS:
            raise SchemaError(f"it has more than {MOST_PATTERNS} patterns")
        if any(isinstance(one, str) and len(one) > MOST_PATTERN_CHARACTERS for one in patterns):
            raise SchemaError(f"it has a pattern of more than {MOST_PATTERN_CHARACTERS} characters")

    def _resolved(self, reference: str) -> Any:
        """What a reference to this same document means; raises SchemaError."""
        if reference != "#" and not reference.startswith("#/"):
            raise SchemaError("$ref may refer to the schema itself only, as '#' or '#/…'")
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (KeyError, IndexError, ValueError, TypeError) as error:
                raise SchemaError("$ref refers to nothing") from error
        return found


def _edges(document: Mapping[str, Any]) -> Iterator[tuple[str | None, Any, bool]]:
    """What a schema leads to: the name of the place, the schema or reference, whether it is the same place."""
    reference = document.get("$ref")
    if isinstance(reference, str):
        yield _ANY, reference, True
    for keyword in _BESIDE:
        yield from ((_ANY, one, True) for one in _listed(document.get(keyword)))
    for keyword in _BESIDE_ONE:
        if keyword in document:
            yield _ANY, document[keyword], True
    for keyword in _BELOW:
        if keyword in document:
            yield _ANY, document[keyword], False
    yield from ((_ANY, one, False) for one in _listed(document.get("prefixItems")))
    yield from ((_ANY, one, True) for one in _mapped(document.get("dependentSchemas")).values())
    yield from ((_ANY, one, False) for one in _mapped(document.get("patternProperties")).values())
    yield from ((name, one, False) for name, one in _mapped(document.get("properties")).items())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapped(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _in_order(root: _Part) -> list[_Part]:
    """All parts, each before those that it sends the same place to; raises SchemaError when there is no such order."""
    order: list[_Part] = []
    state: dict[int, bool] = {}
    for start in _reached(root):
        trail: list[tuple[_Part, Iterator[_Part]]] = []
        if id(start) not in state:
            state[id(start)] = False
            trail.append((start, iter(start.beside)))
        while trail:
            part, left = trail[-1]
            following = next(left, None)
            if following is None:
                trail.pop()
                state[id(part)] = True
                order.append(part)
            elif id(following) not in state:
                state[id(following)] = False
                trail.append((following, iter(following.beside)))
            elif not state[id(following)]:
                raise SchemaError("it refers to itself without an end")
    return order[::-1]


def _reached(root: _Part) -> list[_Part]:
    found, seen = [root], {id(root)}
    for part in found:
        for following in (*part.beside, *(below for _, below in part.below)):
            if id(following) not in seen:
                seen.add(id(following))
                found.append(following)
    return found


def _work(graph: _Graph) -> list[int]:
    """How many looks one place may cost at most, by the depth of the document."""
    looks: dict[int, int] = {id(graph.root): 1}
    work = [0]
    for _ in range(MOST_LEVELS + 1):
        total = 0
        for part in graph.in_order:
            times = looks.get(id(part), 0)
            total += times * part.weight
            if times:
                for following in part.beside:
                    looks[id(following)] = looks.get(id(following), 0) + times
        work.append(max(work[-1], total))
        looks = _below(graph, looks)
        if not looks or total > MOST_WORK:
            break
    if work[-1] > MOST_WORK and len(work) == 2:  # noqa: PLR2004 - the very first place costs too much already
        raise SchemaError("its parts look at one place too often")
    return work[1:]


def _below(graph: _Graph, looks: Mapping[int, int]) -> dict[int, int]:
    """Looks at a place one level deeper, whatever its name: at most one of the named ones is its own."""
    at_any: Counter[int] = Counter()
    by_name: dict[int, Counter[str]] = {}
    for part in graph.in_order:
        times = looks.get(id(part), 0)
        if not times:
            continue
        for name, following in part.below:
            if name is None:
                at_any[id(following)] += times
            else:
                by_name.setdefault(id(following), Counter())[name] += times
    for target, names in by_name.items():
        at_any[target] += max(names.values())
    return dict(at_any)


def _extent(value: Any) -> tuple[int, int]:
    """How many places a document has, and how many levels."""
    level, places, levels = [value], 0, 0
    while level and levels <= MOST_LEVELS + 1:
        places += len(level)
        levels += 1
        level = [child for parent in level for child in _children(parent)]
    return places, levels


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []
