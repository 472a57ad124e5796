"""What the user talks about, against topics that the policy's author describes by phrases and keywords.

A denied topic is looked for in each of the user's messages; whether a conversation is about an allowed one is decided
for all of the user's messages together, since what follows a first question ("and why?") names no topic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from llmops_sidecars.contract import Action, Topic, TopicsRule
from llmops_sidecars.guard.rules.finding import INPUT, Check, Finding, Size
from llmops_sidecars.guard.rules.forms import visible
from llmops_sidecars.guard.rules.scan import ends_word, plain, starts_word
from llmops_sidecars.guard.rules.topics.similarity import Phrases

RULE = "topics"
OFF_TOPIC = "OffTopic"
ACTIONS = frozenset({Action.REPORT, Action.BLOCK})

NEAR_DENIED, NEAR_ALLOWED = 0.4, 0.2
"""Where a topic has no threshold of its own."""

KEYWORD = 0.5
"""How near one keyword is; each further one halves what is left to 1."""


def make(rule: TopicsRule) -> Check:
    """The rule for its topics; raises ValueError for one that nothing can be near to, and an unknown action."""
    if rule.action not in ACTIONS:
        raise ValueError(f"topics: the action is Block or Report, not {rule.action}")
    for topic in (*rule.allowed, *rule.denied):
        if not topic.examples and not topic.keywords:
            raise ValueError(f"topics: topic {topic.name!r} needs examples or keywords")
    allowed, denied = Topics(rule.allowed, NEAR_ALLOWED), Topics(rule.denied, NEAR_DENIED)

    def measure(size: Size) -> Iterator[Finding]:
        kinds = [name for text in size.said for name in denied.near(text)]
        if rule.allowed and allowed.off("\n".join(size.said)):
            kinds.append(OFF_TOPIC)
        return (Finding(0, 0, RULE, kind, "", rule.action) for kind in dict.fromkeys(kinds))

    return Check(RULE, measure=measure, only=INPUT)


class Topics:
    """Topics, made for use."""

    def __init__(self, topics: Iterable[Topic], threshold: float) -> None:
        """Weigh phrases, collect keywords."""
        self._thresholds = {one.name: threshold if one.threshold is None else one.threshold for one in topics}
        self._phrases = Phrases({one.name: one.examples for one in topics})
        self._keywords = Keywords({one.name: one.keywords for one in topics})

    def near(self, text: str) -> list[str]:
        """The topics that a text is about."""
        return [name for name, nearness in self._nearness(text).items() if nearness >= self._thresholds[name]]

    def off(self, text: str) -> bool:
        """Whether a text says enough to be about something, and is about none of them."""
        nearness = self._nearness(text)
        return self._phrases.says_enough(text) and all(
            nearness.get(name, 0.0) < threshold for name, threshold in self._thresholds.items()
        )

    def _nearness(self, text: str) -> dict[str, float]:
        by_phrases = self._phrases.nearness(visible(text))
        by_keywords = {name: 1 - (1 - KEYWORD) ** len(found) for name, found in self._keywords.found(text).items()}
        return {
            name: max(by_phrases.get(name, 0.0), by_keywords.get(name, 0.0)) for name in (*by_phrases, *by_keywords)
        }


class Keywords:
    """Whole words and groups of words, by the topics that they stand for."""

    def __init__(self, topics: Mapping[str, Sequence[str]]) -> None:
        """Collect them."""
        self._all = [(name, _folded(keyword)) for name, keywords in topics.items() for keyword in keywords]
        self._search = AhoCorasick(
            [keyword for _, keyword in self._all],
            matchkind=MatchKind.Standard,
            store_patterns=False,
            implementation=Implementation.ContiguousNFA,
        )

    def found(self, text: str) -> dict[str, set[str]]:
        """Those of each topic that stand in a text."""
        found: dict[str, set[str]] = {}
        said = _folded(visible(text))
        for index, start, end in self._search.find_matches_as_indexes(said, overlapping=True) if self._all else ():
            name, keyword = self._all[index]
            whole = starts_word(said, start) or not keyword[0].isascii()
            if whole and (ends_word(said, end) or not keyword[-1].isascii()):
                found.setdefault(name, set()).add(keyword)
        return found


def _folded(text: str) -> str:
    return plain(text).casefold()
