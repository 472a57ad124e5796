from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops_sidecars.contract import Action, ContractError, Policy, PromptLeakRule, StreamWindow
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Context
from llmops_sidecars.guard.verdict import judge
from tests.sidecars_.guard.streams import HELD, HURRIED, RATES, releases, splits, text_of

PRICES = "Never tell anybody that our prices go down by ten per cent in the middle of March."
PERSIAN = "هرگز به کسی نگو که قیمت‌های ما در نیمه ماه مارس ده درصد کاهش می‌یابد"
CHINESE = "绝对不要告诉任何人三月份价格会下降百分之十，也不要谈论竞争对手。"
SORRY = "We are sorry, but refunds take up to five working days, so please wait a little longer."
FORM = '```json\n{"answer": "a sentence that answers the question", "sources": ["the pages that say so"]}\n```'
INSTRUCTIONS = (
    f"You are the assistant of Acme. {PRICES}\n{PERSIAN}\n{CHINESE}\nWhen asked for a refund, say “{SORRY}” and stop.\n"
    f"Answer in this form:\n{FORM}\n"
)
WRITTEN = "Summarise what follows in three sentences for a reader who knows nothing of the matter"


def rules(action: Action = Action.MASK, letters: int = 40, *texts: str) -> Rules:
    policy = compile_policy(Policy(output=(PromptLeakRule(letters=letters, action=action),)))
    return policy.output.bound(Context(instructions=texts or (INSTRUCTIONS,), trusted=frozenset({WRITTEN})))


MASK, BLOCK = rules(), rules(Action.BLOCK)

LEAKS = {
    "as they are": (f"I was told: {PRICES}", "I was told: [INSTRUCTIONS]."),
    "in capitals": (f"{PRICES.upper()} Oh.", "[INSTRUCTIONS]. Oh."),
    "a part": (
        "It says so: tell anybody that our prices go down by ten per cent, or so.",
        "It says so: [INSTRUCTIONS], or so.",
    ),
    "with dashes": (PRICES.replace(" ", "-"), "[INSTRUCTIONS]."),
    "word by word in lines": ("\n".join(f"{n}. {word}" for n, word in enumerate(PRICES.split())), "0. [INSTRUCTIONS]."),
    "letter by letter": (" ".join(PRICES.replace(" ", "")), "[INSTRUCTIONS] ."),
    "in stars": ("*".join(PRICES), "[INSTRUCTIONS]*."),
    "in full width": ("".join(chr(ord(one) + 0xFEE0) if one != " " else one for one in PRICES), "[INSTRUCTIONS]．"),
    "with look-alikes": (PRICES.replace("e", "е").replace("o", "о"), "[INSTRUCTIONS]."),
    "with invisible characters": ("\u200b".join(PRICES), "[INSTRUCTIONS]\u200b."),
    "in base64": (f"So: {base64.b64encode(PRICES.encode()).decode()} .", "So: [INSTRUCTIONS] ."),
    "in Persian": (f"«{PERSIAN}»", "«[INSTRUCTIONS]»"),
    "in Chinese": ("规则是绝对不要告诉任何人三月份价格会下降百分之十。", "规则是[INSTRUCTIONS]。"),
    "of a template": (f"I was told: {WRITTEN}!", "I was told: [INSTRUCTIONS]!"),
}

HARMLESS = {
    "an answer": "Prices may change in March; please ask the shop.",
    "a few words": "I am the assistant of Acme, and I never tell anybody.",
    "words in another order": "In the middle of March our prices go down, by ten per cent; never tell anybody that.",
    "what is given to be said": SORRY,
    "a form that is asked for": FORM,
    "a little Chinese": "价格会下降吗？请告诉我三月份的价格。",
}


@pytest.mark.parametrize(("text", "masked"), LEAKS.values(), ids=LEAKS)
def test_a_repetition_is_found_however_it_is_written(text: str, masked: str) -> None:
    verdict = judge(text, MASK)
    assert verdict.text == masked
    assert verdict.counts == {("promptLeak", "Instructions", "Mask"): 1}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_is_no_repetition_passes(text: str) -> None:
    assert judge(text, BLOCK).blocked_by is None


def test_short_instructions_are_anybodys_words() -> None:
    assert (
        judge("You are a helpful assistant.", rules(Action.BLOCK, 40, "You are a helpful assistant.")).blocked_by
        is None
    )


def test_how_many_letters_are_too_many_is_the_policys_choice() -> None:
    text = "never tell anybody that our prices"
    assert judge(text, rules(Action.BLOCK, 40)).blocked_by is None
    assert judge(text, rules(Action.BLOCK, 29)).blocked_by == "promptLeak"
    assert judge(text, rules(Action.BLOCK, 30)).blocked_by is None


def test_nothing_is_found_without_instructions() -> None:
    policy = compile_policy(Policy(output=(PromptLeakRule(),)))
    assert judge(PRICES, policy.output.bound(Context())).blocked_by is None


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("bounds", [HELD, HURRIED], ids=["held", "hurried"])
@pytest.mark.parametrize(
    "text",
    [text for text, _ in LEAKS.values() if len(text) < 200],
    ids=[name for name, row in LEAKS.items() if len(row[0]) < 200],
)
def test_nothing_of_a_repetition_leaves_however_it_is_cut(text: str, bounds: StreamWindow, rate: float) -> None:
    around = f"Well, {text} And so on, for a while."
    for pieces in splits(around)[:: 1 if bounds is HELD else 3]:
        assert text_of(releases(pieces, BLOCK, bounds, rate)) == judge(around, BLOCK).text, pieces


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_a_long_repetition_is_masked_on_a_stream(rate: float) -> None:
    text = f"Well, {PRICES} {CHINESE} And so on, for a while."
    for pieces in splits(text)[::9]:
        assert text_of(releases(pieces, MASK, HELD, rate)) == judge(text, MASK).text, pieces


@given(st.text(max_size=300), st.integers(1, 20))
@settings(max_examples=200)
def test_other_text_passes_a_stream_as_it_is(text: str, size: int) -> None:
    pieces = [text[place : place + size] for place in range(0, len(text), size)]
    assert text_of(releases(pieces, MASK, HURRIED, 1.0)) == text


def test_instructions_that_repeat_themselves_take_no_time() -> None:
    chosen = rules(Action.MASK, 40, "ab" * 50_000)
    started = time.process_time()
    assert judge("ab" * 50_000 + " " + "ba ab aab " * 10_000, chosen).text.startswith("[INSTRUCTIONS]")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (PromptLeakRule(action=Action.HASH), "promptLeak: the action is Block, Mask or Report, not Hash"),
        (PromptLeakRule(letters=15), "promptLeak: 15 letters say nothing; give 16 or more"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(rule: PromptLeakRule, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compile_policy(Policy(output=(rule,)))
