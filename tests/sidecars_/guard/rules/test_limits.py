from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from llmops_sidecars.contract import Action, ContractError, LimitsRule, OnError, PiiRule, Policy
from llmops_sidecars.guard.policy import compile_policy
from tests.sidecars_.guard.kit import FakeCache, Guard, contract, guarded, question, said


def saved(path: Path) -> Path:
    """A byte-level tokenizer that knows the word `tiger` beside single bytes."""
    vocabulary = {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = [("t", "i"), ("ti", "g"), ("tig", "e"), ("tige", "r")]
    vocabulary |= {first + second: len(vocabulary) + place for place, (first, second) in enumerate(merges)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(path))
    return path


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return saved(tmp_path / "tokenizer.json")


def limited(directory: Path, rule: LimitsRule, on_error: OnError = OnError.CLOSED) -> Guard:
    policy = Policy(version="p", on_error=on_error, input=(PiiRule(), rule))
    return guarded(directory, FakeCache(said("ok")), contract(policy=policy))


@pytest.mark.parametrize(
    ("limit", "texts", "told"),
    [
        (LimitsRule(messages=2), ["a"] * 2, None),
        (LimitsRule(messages=2), ["a"] * 3, "limits: Messages"),
        (LimitsRule(characters=100), ["x" * 60, "y" * 40], None),
        (LimitsRule(characters=100), ["x" * 61, "y" * 40], "limits: Characters"),
        (LimitsRule(characters=100, action=Action.REPORT), ["x" * 101], None),
    ],
)
async def test_messages_and_characters_are_limited(
    tmp_path: Path, limit: LimitsRule, texts: list[str], told: str | None
) -> None:
    body = question() | {"messages": [{"role": "user", "content": text} for text in texts]}
    answer = await limited(tmp_path, limit).ask(body)
    assert answer.status == (200 if told is None else 400)
    if told:
        assert answer.error["code"] == "content_blocked"
        assert f"rule '{told}'" in answer.error["message"]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("tiger" * 10, 200),
        ("tiger" * 9 + "tige", 200),
        ("tiger" * 11, 400),
        ("é" * 5, 200),
        ("é" * 6, 400),
        ("jane.doe@example.com", 200),
    ],
    ids=["ten", "ten others", "eleven", "ten bytes", "twelve bytes", "what is masked counts as its mask"],
)
async def test_tokens_are_the_tokenizers_own(tmp_path: Path, tokenizer: Path, text: str, status: int) -> None:
    limit = LimitsRule(tokens=10, tokenizer_file=str(tokenizer))
    answer = await limited(tmp_path, limit).ask(question(text))
    assert answer.status == status
    if status == 400:
        assert "rule 'limits: Tokens'" in answer.error["message"]


async def test_the_texts_of_a_request_are_counted_together(tmp_path: Path, tokenizer: Path) -> None:
    guard = limited(tmp_path, LimitsRule(tokens=3, tokenizer_file=str(tokenizer)))
    messages = [{"role": "user", "content": "tiger"}] * 4
    assert (await guard.ask(question() | {"messages": messages[:3]})).status == 200
    assert (await guard.ask(question() | {"messages": messages})).status == 400


@pytest.mark.parametrize("content", [None, b"{}"], ids=["missing", "broken"])
@pytest.mark.parametrize(("on_error", "status"), [(OnError.CLOSED, 503), (OnError.OPEN, 200)])
async def test_without_a_tokenizer_what_may_be_too_long_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None, on_error: OnError, status: int
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with caplog.at_level(logging.CRITICAL):
        guard = limited(tmp_path, LimitsRule(tokens=10, tokenizer_file=str(path)), on_error)
        answer = await guard.ask(question("tiger " * 20))
        assert answer.status == status
        assert await guard.metric('llmops_guard_errors_total{direction="input",revision="r1",rule="limits"}') == 1
        assert (await guard.ask(question("short"))).status == 200
        saved(path)
        assert (await guard.ask(question("tiger" * 9))).status == 200


async def test_counting_keeps_nobody_waiting(tmp_path: Path, tokenizer: Path) -> None:
    guard = limited(tmp_path, LimitsRule(tokens=200_000, tokenizer_file=str(tokenizer)))
    asked = asyncio.create_task(guard.ask(question("é ab " * 40_000)))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert asked.result().status == 400
    assert turns > 20
    assert await guard.metric('llmops_guard_rule_seconds_count{revision="r1",rule="limits"}') == 1


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(name="p", input=(LimitsRule(tokens=5),)), "limits: tokens cannot be counted without a tokenizer_file"),
        (Policy(name="p", input=(LimitsRule(action=Action.MASK),)), "limits: the action is Block or Report, not Mask"),
        (Policy(name="p", output=(LimitsRule(messages=5),)), "limits: it is a rule for input, not for output"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(policy: Policy, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        compile_policy(policy)
