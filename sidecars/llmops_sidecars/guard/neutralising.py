"""Special tokens in the values of templates: user text is data to the model's tokenizer, too, whatever the policy.

They are those of the rule `specialTokens`, with what the policy lists, and become what the rule makes of them. A policy
that blocks them is left to do so.
"""

from __future__ import annotations

from collections.abc import Sequence

from llmops_sidecars.contract import Action, Policy, SpecialTokensRule
from llmops_sidecars.guard.rules.finding import Find, Finding
from llmops_sidecars.guard.rules.special_tokens import finder
from llmops_sidecars.guard.verdict import gathered, mask


def neutralised_by(policy: Policy) -> Find | None:
    """What finds special tokens in values under a policy; None where its own rule refuses them."""
    rules = [rule for rule in policy.input if isinstance(rule, SpecialTokensRule)]
    if any(rule.action is Action.BLOCK for rule in rules):
        return None
    return finder(tuple(token for rule in rules for token in rule.tokens))


class Neutraliser:
    """For the values of one request; `found` is what it has neutralised."""

    def __init__(self, find: Find) -> None:
        """Nothing has been found yet."""
        self._find = find
        self.found: list[Finding] = []

    def __call__(self, text: str, values: Sequence[tuple[int, int]]) -> str:
        """A filled text in which no special token touches a value; the author's own stay."""
        if not values:
            return text
        touched = [one for one in self._find(text) if any(one.start < end and start < one.end for start, end in values)]
        places = gathered(touched).places
        self.found += places
        return mask(text, places)
