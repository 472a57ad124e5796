"""Every rule for answers with texts that it forbids: what streams of all kinds are tried on."""

from __future__ import annotations

from dataclasses import dataclass

from llmops_sidecars.contract import (
    Action,
    HarmRule,
    InjectionRule,
    JsonSchemaRule,
    LanguageRule,
    LimitsRule,
    Policy,
    PromptLeakRule,
    Rule,
    RuleModel,
    SpecialTokensRule,
    TopicsRule,
    UnicodeRule,
    UrlsRule,
    WebhookRule,
)
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Context
from tests.sidecars_.guard.rules import test_harm, test_prompt_leak, test_unicode, test_urls
from tests.sidecars_.guard.test_window import ALL_MASK, BESIDE, FORBIDDEN, PEM

FOR_PROMPTS = (InjectionRule, LimitsRule, SpecialTokensRule, TopicsRule)
"""Rules that no answer is judged by."""

APART = (WebhookRule,)
"""Rules that ask somebody: they have a test of their own."""


@dataclass(frozen=True)
class Case:
    """Rules of a policy, and texts in which they find something; `instructions`: of the request, for prompt leaks."""

    rules: tuple[Rule, ...]
    texts: tuple[str, ...]
    instructions: str = ""

    @property
    def policy(self) -> Policy:
        """They are for answers."""
        return Policy("p", "v", output=self.rules)

    @property
    def bound(self) -> Rules:
        """The rules for one request."""
        return compile_policy(self.policy).output.bound(Context((self.instructions,)))


LEAKS = tuple(text for text, _ in test_prompt_leak.LEAKS.values())

HARMFUL = tuple(f"Well, {one}. And so on." for one in test_harm.STREAMS if "Python" not in one)
"""All but one, which only looks so."""

CASES = {
    "pii, secrets, phrases, patterns": Case(
        ALL_MASK,
        (
            *(f"So: {one}, or not." for one in FORBIDDEN.values()),
            *(f"So: {word}{one}" for word, one in BESIDE.values()),
            PEM,
        ),
    ),
    "harm": Case((HarmRule(action=Action.MASK),), HARMFUL),
    "unicode": Case((UnicodeRule(action=Action.MASK),), tuple(f"é {row[0]} so" for row in test_unicode.FOUND.values())),
    "urls": Case((UrlsRule(),), tuple(f"So: {row[0]} and more." for row in test_urls.FOUND.values())),
    "promptLeak": Case(
        (PromptLeakRule(action=Action.MASK),), LEAKS, f"{test_prompt_leak.INSTRUCTIONS}{test_prompt_leak.WRITTEN}"
    ),
    "language": Case(
        (LanguageRule(("en",)),), ("Das ist ein ganz gewöhnlicher deutscher Satz, den niemand lesen soll.",)
    ),
    "jsonSchema": Case((JsonSchemaRule({"type": "object"}),), ("[1, 2, 3]", "It is {} or so.")),
}


def judged() -> set[type[RuleModel]]:
    """The models of all rules in the table."""
    return {type(rule) for case in CASES.values() for rule in case.rules}
