"""Special tokens of chat templates in what callers write: a tokenizer reads them as the end of a message, or as a role.

Who writes `<|im_end|>` into a message ends it, and may go on as the system. Masked, such a token is the same characters
with a space in it: people and models can read it, and no tokenizer takes it for more than that. Encoded ones are left
alone, since tokenizers decode nothing; those with invisible characters in them are not, since others may drop these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import re2

from llmops_sidecars.contract import Action, SpecialTokensRule
from llmops_sidecars.guard.rules.finding import INPUT, Check, Context, Find, Finding
from llmops_sidecars.guard.rules.forms import Form, folded
from llmops_sidecars.guard.rules.scan import PatternSet

RULE = "specialTokens"
ACTIONS = frozenset({Action.REPORT, Action.MASK, Action.BLOCK})
LISTED = "listed"
"""The kind of those that the policy adds."""

SHAPES = {
    "delimited": r"<[|｜][^<>|｜\s]{1,60}[|｜]>",
    "turn": r"</?(?:start|end)_of_(?:turn|image)>",
    "instruction": r"<</?SYS>>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_CONTENT|TOOL_RESULTS)\]",
    "boundary": r"</?s>|<(?:bos|eos|pad|unk)>",
}
"""ChatML, Llama 3, Phi, DeepSeek, GLM, Command and Harmony; Gemma; Llama 2 and Mistral; what SentencePiece brings."""


def make(rule: SpecialTokensRule) -> Check:
    """The rule with the policy's own tokens; raises ValueError for an action that it has not, or a token of nothing."""
    if rule.action not in ACTIONS:
        raise ValueError(f"specialTokens: the action is Block, Mask or Report, not {rule.action}")
    if not all(len(token) > 1 and token.split() == [token] for token in rule.tokens):
        raise ValueError("specialTokens: a token has two characters or more, and no space")
    find = finder(rule.tokens, rule.action)

    def bind(context: Context) -> Find:
        return lambda text: () if text in context.trusted else find(text)

    return Check(RULE, find, bind, as_is=True, only=INPUT)


def finder(tokens: Collection[str] = (), action: Action = Action.MASK) -> Find:
    """What finds special tokens, and further ones, in a text; each with its spaced form as the label."""
    shapes = PatternSet(SHAPES | ({LISTED: "|".join(map(re2.escape, tokens))} if tokens else {}))

    def find(text: str) -> Iterable[Finding]:
        looked_at = [Form(text)] if text.isascii() else [Form(text), folded(text)]
        found = (
            form.back(Finding(start, end, RULE, kind, "", action))
            for form in looked_at
            for kind, start, end in shapes.places(form.text)
        )
        return {one._replace(label=_escaped(text[one.start : one.end])) for one in found}

    return find


def _escaped(token: str) -> str:
    return f"{token[0]} {token[1:]}"
