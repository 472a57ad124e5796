"""Rules on the content of an answer as a whole, through the guard: what they look at and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops_sidecars.contract import JsonSchemaRule, LanguageRule, PiiRule, Policy
from llmops_sidecars.openai.answers import Delta, FunctionDelta, ToolCallDelta
from tests.sidecars_.guard.kit import MAIL, WRITER, FakeCache, contract, delta, guarded, question, said

SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "string"}}}
JSON = Policy(output=(JsonSchemaRule(SCHEMA), PiiRule()))
TOOLS = [{"type": "function", "function": {"name": "send"}}]
ENGLISH = Policy(output=(LanguageRule(("en",)),))
GERMAN = "Das ist ein ganz gewöhnlicher deutscher Satz, den hier niemand lesen soll."


def call(name: str | None, arguments: str | None) -> bytes:
    call_id, kind = ("call-1", "function") if name else (None, None)
    return delta(Delta(tool_calls=(ToolCallDelta(0, call_id, kind, FunctionDelta(name, arguments)),)))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_of_the_schema_passes_in_one_piece_with_its_masks(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said('{"answer"', ': "write to ', MAIL, '"}'))
    answer = await guarded(tmp_path, cache, contract(policy=JSON)).ask(question(stream=stream))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert text == '{"answer": "write to [EMAIL]"}'


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("policy", "text"), [(JSON, '{"other": 1}'), (JSON, "Well."), (ENGLISH, GERMAN)])
async def test_nothing_of_another_answer_leaves(tmp_path: Path, policy: Policy, text: str, *, stream: bool) -> None:
    cache = FakeCache(said(*(f"{word} " for word in text.split(" "))))
    answer = await guarded(tmp_path, cache, contract(policy=policy)).ask(question(stream=stream))
    assert b"content_filter" in answer.body
    assert not any(word.encode() in answer.body for word in ("other", "Well", "gew"))
    assert cache.commits == []


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("policy", [JSON, ENGLISH], ids=["schema", "language"])
async def test_tool_calls_and_refusals_have_other_forms(tmp_path: Path, policy: Policy, *, stream: bool) -> None:
    script = [WRITER.role(), call("send", ""), call(None, f'{{"text": "{GERMAN}"}}'), delta(Delta(refusal=GERMAN))]
    cache = FakeCache([*script, *said(reason="tool_calls")[1:]])
    answer = await guarded(tmp_path, cache, contract(policy=policy)).ask(question(stream=stream, tools=TOOLS))
    assert b"content_filter" not in answer.body
    assert answer.body.count("gewöhnlicher".encode()) == 2
