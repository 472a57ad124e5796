"""Which version of a template a request means: the digest of its content, a label, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmops_sidecars.contract import Template
from llmops_sidecars.openai.errors import ApiError, invalid_request

STABLE = "stable"
"""The label of the version that a rollout would go back to."""

LEAST_DIGITS = 8
"""Of a digest: fewer could mean another version tomorrow."""


@dataclass(frozen=True)
class Versions:
    """One template in all versions that are in play: `current` is that of the configuration which serves a request."""

    current: Template | None = None
    stable: Template | None = None
    others: tuple[Template, ...] = ()

    @property
    def all(self) -> dict[str, Template]:
        """By version, each once."""
        return {one.version: one for one in (self.current, self.stable, *self.others) if one is not None}


def chosen(version: str | None, versions: Versions) -> Template | None:
    """The template that a request means; None when there is none of its name. Raises ApiError (400)."""
    if version is None:
        return versions.current
    if version == STABLE:
        return versions.stable
    known = versions.all
    if not known:
        return None
    found = [one for digest, one in known.items() if digest == version or _is_prefix(version, digest)]
    if len(found) != 1:
        raise _unserved(version, known, ambiguous=bool(found))
    return found[0]


def _is_prefix(version: str, digest: str) -> bool:
    return len(version) >= LEAST_DIGITS and digest.startswith(version)


def _unserved(version: str, known: Iterable[str], *, ambiguous: bool) -> ApiError:
    if ambiguous:
        told = "Several versions of the template begin like this; give more digits"
    elif len(version) < LEAST_DIGITS:
        told = f"A version is {LEAST_DIGITS} or more digits of a digest, or {STABLE!r}"
    else:
        told = "This version of the template is not served"
    served = ", ".join(sorted(known))
    return invalid_request(f"{told}; there are: {served}.", "prompt.version", "prompt_not_found")
