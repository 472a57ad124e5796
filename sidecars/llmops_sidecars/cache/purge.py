"""Which remembered answers are meant: by the parts of their keys, all of them together."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from llmops_sidecars.cache.key import tag
from llmops_sidecars.openai.errors import invalid_json, invalid_request

ANY = "*"
MOST_MARKS = 64
"""Purges that are kept apart."""


class Selection(Struct, frozen=True):
    """Parts of keys, each `*` for all; `llmops_sidecars.cache.key` makes the parts."""

    tenant: str = ANY
    revision: str = ANY
    policy: str = ANY
    template: str = ANY
    digest: str = ANY

    def covers(self, key: str) -> bool:
        """Whether a key is meant; one of another form always is."""
        parts = key.split(".")
        mine = (self.tenant, self.revision, self.policy, self.template, self.digest)
        return len(parts) != len(mine) or all(wanted in (ANY, part) for wanted, part in zip(mine, parts, strict=True))

    @property
    def pattern(self) -> str:
        """Its form in the store."""
        return f"{self.tenant}.{self.revision}.{self.policy}.{self.template}.{self.digest}"


def selection(pattern: str) -> Selection | None:
    """The selection of a pattern, None for what is none."""
    parts = pattern.split(".")
    return Selection(*parts) if len(parts) == len(Selection.__struct_fields__) else None


EVERYTHING = Selection()


class Marks:
    """Purges and when they were: what was asked for before that is no longer given. Times in Unix seconds.

    With too many of them everything is purged: that only costs hits.
    """

    def __init__(self) -> None:
        self._by_pattern: dict[str, tuple[Selection, float]] = {}

    def add(self, selected: Selection, when: float) -> bool:
        """Mark what was asked for until then; whether that is news."""
        if any(
            known[1] >= when for known in map(self._by_pattern.get, (selected.pattern, EVERYTHING.pattern)) if known
        ):
            return False
        if len(self._by_pattern) >= MOST_MARKS and selected.pattern not in self._by_pattern:
            selected = EVERYTHING
        if selected == EVERYTHING:
            self._by_pattern = {pattern: one for pattern, one in self._by_pattern.items() if one[1] > when}
        self._by_pattern[selected.pattern] = (selected, when)
        return True

    def cover(self, key: str, stored: float) -> bool:
        """Whether an entry has been purged."""
        return any(stored <= when and selected.covers(key) for selected, when in self._by_pattern.values())

    def forget(self, before: float) -> None:
        """Forget purges of what can no longer be there."""
        self._by_pattern = {pattern: one for pattern, one in self._by_pattern.items() if one[1] >= before}

    def times(self) -> dict[str, float]:
        """When each was, by its pattern."""
        return {pattern: when for pattern, (_, when) in self._by_pattern.items()}


def read_marks(fields: Mapping[bytes, bytes]) -> list[tuple[Selection, float]]:
    """The purges in a hash of the store; what is none is left out."""
    found = []
    for name, value in fields.items():
        selected = selection(name.decode("ascii", "replace"))
        try:
            when = float(value)
        except ValueError:
            continue
        if selected is not None:
            found.append((selected, when))
    return found


class PurgeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What to purge, by names; `key` as `x-llmops-cache-key` tells it. Several together mean what is all of them."""

    tenant: str | None = None
    revision: str | None = None
    policy: str | None = None
    template: str | None = None
    key: str | None = None
    all: bool = False


def read_purge(body: bytes) -> Selection:
    """What is asked to be purged; raises ApiError, also when nothing is named: everything has to be asked for."""
    try:
        asked = msgspec.json.decode(body, type=PurgeRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid_json(str(error)) from error
    names = {"tenant": asked.tenant, "revision": asked.revision, "policy": asked.policy, "template": asked.template}
    tags = {part: tag(name) for part, name in names.items() if name is not None}
    if asked.key is not None:
        tags["digest"] = asked.key.rpartition(".")[2]
    if bool(tags) == asked.all:
        raise invalid_request("Name what to purge, or say that it is all; not both.", "all", "invalid_value")
    return Selection(**tags)
