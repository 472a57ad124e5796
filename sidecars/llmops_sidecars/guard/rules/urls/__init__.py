"""Where links lead: lists of domains, and what makes a link dangerous whatever its domain.

An image is fetched as soon as an answer is shown, and what its URL holds is told to whoever serves it: `Image` finds
those of Markdown and HTML that lead anywhere but to an allowed domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmops_sidecars.contract import Action, UrlKind, UrlsRule
from llmops_sidecars.guard.rules.finding import Check, Finding
from llmops_sidecars.guard.rules.urls.hosts import Domains, authority, is_address, passes_for_another
from llmops_sidecars.guard.rules.urls.links import SIGHT, Link, is_image, links, places, unfinished

RULE = "urls"
LABEL = "[URL]"
DOMAIN = "Domain"
"""The kind of a finding by the lists."""

ACTIONS = frozenset({Action.REPORT, Action.MASK, Action.BLOCK})
WITHOUT_HOST = frozenset({"blob", "intent", "javascript", "magnet", "sms", "tel", "vbscript"})


@dataclass(frozen=True)
class Judge:
    """What is allowed."""

    allow: Domains
    deny: Domains
    schemes: frozenset[str]
    kinds: frozenset[UrlKind]

    def trouble(self, text: str, link: Link) -> str | None:
        """The kind of the first thing that is wrong with a link."""
        if link.scheme == "data":
            return UrlKind.DATA.value if UrlKind.DATA in self.kinds else None
        if link.scheme and link.scheme not in self.schemes and UrlKind.SCHEME in self.kinds:
            return UrlKind.SCHEME.value
        if link.scheme in WITHOUT_HOST:
            return None
        return next(self._troubles(text, link), None)

    def _troubles(self, text: str, link: Link) -> Iterator[str]:
        place = authority(link.rest)
        if place.user_info and link.scheme != "mailto" and UrlKind.USER_INFO in self.kinds:
            yield UrlKind.USER_INFO.value
        if not place.host or place.host in self.allow:
            return
        if is_address(place.host) and UrlKind.ADDRESS in self.kinds:
            yield UrlKind.ADDRESS.value
        if passes_for_another(place.host) and UrlKind.LOOK_ALIKE in self.kinds:
            yield UrlKind.LOOK_ALIKE.value
        if self.allow or place.host in self.deny:
            yield DOMAIN
        if UrlKind.IMAGE in self.kinds and is_image(text, link):
            yield UrlKind.IMAGE.value


def make(rule: UrlsRule) -> Check:
    """The rule with its lists; raises ValueError that says which entry cannot be used."""
    if rule.action not in ACTIONS:
        raise ValueError(f"urls: the action is Block, Mask or Report, not {rule.action}")
    deny = _domains("deny", rule.deny)
    schemes = frozenset(scheme.lower() for scheme in rule.schemes)
    judge, bare = Judge(_domains("allow", rule.allow), deny, schemes, frozenset(rule.kinds)), places(deny)

    def find(text: str) -> list[Finding]:
        troubles = ((link.start, link.end, judge.trouble(text, link)) for link in links(text))
        named = ((start, end, DOMAIN) for start, end in bare(text))
        return [
            Finding(start, end, RULE, kind, LABEL, rule.action)
            for start, end, kind in (*troubles, *named)
            if kind is not None
        ]

    return Check(RULE, find, tail=unfinished, context=SIGHT)


def _domains(name: str, entries: Iterable[str]) -> Domains:
    try:
        return Domains(entries)
    except ValueError as error:
        raise ValueError(f"urls.{name}: {error}") from error
