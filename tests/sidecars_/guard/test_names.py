"""Names of persons through the guard: in every text of requests and answers, masked, blocked and put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmops_sidecars.contract import Action, Audit, AuditText, NamesModel, OnError, PiiEntity, PiiRule, Policy
from llmops_sidecars.guard.trial import tried
from llmops_sidecars.openai.answers import ChunkChoice, Delta
from tests.sidecars_.guard.kit import SUPPORT, WRITER, FakeCache, Guard, contract, guarded, question, said
from tests.sidecars_.guard.rules.models import names_model
from tests.sidecars_.guard.rules.test_names import compiled
from tests.sidecars_.guard.test_audit import Lines, lines  # noqa: F401 - a fixture
from tests.sidecars_.guard.test_coverage import (
    ANSWERS,
    ENDPOINTS,
    FORBIDDEN,
    NOT_FORWARDED,
    STREAMING,
    TABLE,
    _is_word,
    asking_all,
    going_on,
    told,
    with_forbidden,
)
from tests.sidecars_.guard.test_unmask import Echo, answered

NAME = PiiEntity.PERSON_NAME
WORDS = {FORBIDDEN: {"B-PER": 20.0}}


def naming(
    tmp_path: Path, cache: FakeCache, action: Action = Action.MASK, *, model: NamesModel | None = None, **fields: Any
) -> Guard:
    """A guard that looks for names in both directions."""
    rules = (PiiRule((NAME,), action, model=model or names_model(tmp_path)),)
    policy = Policy("names", "v1", input=rules, output=rules, **fields)
    return guarded(tmp_path, cache, contract(policy=policy, templates=(SUPPORT,)))


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_name_in_a_request_is_found_wherever_it_stands(tmp_path: Path, path: str) -> None:
    cache = FakeCache(said('{"one": "a value"}'))
    guard = naming(tmp_path, cache, Action.BLOCK, model=names_model(tmp_path, WORDS))
    looked_at = 0
    for _, where, key in (one for one in TABLE if one[0] == path):
        names = [str(step) for step in where if isinstance(step, str)]
        if names[0] in NOT_FORWARDED or ".".join(names) in NOT_FORWARDED or _is_word(names, key=key):
            continue
        answer = await guard.ask(with_forbidden(ENDPOINTS[path][0], where, key=key), path)
        assert (answer.status, answer.error["code"]) == (400, "content_blocked"), where
        looked_at += 1
    assert looked_at
    assert cache.requests == []


@pytest.mark.parametrize("action", [Action.BLOCK, Action.MASK])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", STREAMING)
async def test_a_name_in_an_answer_never_leaves(tmp_path: Path, path: str, action: Action, *, stream: bool) -> None:
    model = names_model(tmp_path, WORDS)
    for name, event in ANSWERS.items():
        guard = naming(tmp_path, FakeCache(going_on(event)), action, model=model)
        answer = await guard.ask(asking_all(path, stream=stream), path)
        assert answer.status in {200, 502}, name
        assert not told(answer.body), name


@pytest.mark.parametrize("stream", [True, False])
async def test_names_are_masked_in_both_directions_and_the_answer_comes_whole(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("Ask Ja", "ne Smi", "th or B", "ob."))
    answer = await naming(tmp_path, cache).ask(question("Who is Alice?", stream=stream))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert text == "Ask [PERSON] or [PERSON]."
    assert cache.requests[0]["messages"][0]["content"] == "Who is [PERSON]?"
    assert cache.received[0]["cache-control"] == "no-store"


@pytest.mark.parametrize("output", [False, True], ids=["no rules for answers", "names in answers"])
@pytest.mark.parametrize("tool", [False, True], ids=["content", "arguments"])
@pytest.mark.parametrize("stream", [True, False])
async def test_names_come_back(tmp_path: Path, *, output: bool, tool: bool, stream: bool) -> None:
    model = names_model(tmp_path)
    rules = (PiiRule((NAME,), model=model),) if output else ()
    policy = Policy("p", "v", input=(PiiRule((NAME,), unmask=True, model=model),), output=rules)
    cache, text = Echo(size=3, tool=tool), 'Say "hi" to Jane Smith and Bob, and Jane Smith.'
    back = await answered(tmp_path, cache, policy, text, stream=stream)
    assert back == text if not tool else back == '{"to": "Say \\"hi\\" to Jane Smith and Bob, and Jane Smith."}'
    sent = cache.requests[0]["messages"][-1]["content"]
    assert sent.count("[PERSON_") == 3
    assert "Smith" not in sent


async def test_choices_are_judged_together_at_the_end(tmp_path: Path) -> None:
    events = [
        WRITER.choice(ChunkChoice(index, Delta(content=text), finish_reason="stop"))
        for index, text in enumerate(("Ask Alice.", "Ask nobody."))
    ]
    answer = await naming(tmp_path, FakeCache([*events, *said()[-1:]])).ask(question(n=2))
    assert [one["message"]["content"] for one in answer.json["choices"]] == ["Ask [PERSON].", "Ask nobody."]


@pytest.mark.parametrize(("on_error", "status"), [(OnError.CLOSED, 503), (OnError.OPEN, 200)])
async def test_a_model_that_cannot_be_read_refuses_or_is_counted(
    tmp_path: Path, on_error: OnError, status: int
) -> None:
    guard = naming(tmp_path, FakeCache(said("Hi Bob.")), on_error=on_error)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    answer = await guard.ask(question("Who is Alice?"))
    assert answer.status == status
    assert await guard.metric('llmops_guard_errors_total{direction="input",revision="r1",rule="pii"}') == 1.0


async def test_the_time_that_the_model_takes_is_told(tmp_path: Path) -> None:
    guard = naming(tmp_path, FakeCache(said("Hi.")))
    await guard.ask(question("Who is Alice?"))
    assert await guard.metric('llmops_guard_rule_seconds_count{revision="r1",rule="pii"}') == 2.0


@pytest.mark.parametrize("action", [Action.MASK, Action.REPORT])
async def test_auditors_read_no_names(tmp_path: Path, lines: Lines, action: Action) -> None:  # noqa: F811
    guard = naming(tmp_path, FakeCache(said("Ask Bob.")), action, audit=Audit(text=AuditText.MASKED))
    await guard.ask(question("Who is Alice?"))
    (line,) = lines.audit
    assert line["text"] == {"input": ["Who is [PERSON]?"], "output": ["Ask [PERSON]."]}


async def test_auditors_read_no_text_in_which_names_could_not_be_looked_for(tmp_path: Path, lines: Lines) -> None:  # noqa: F811
    cache = FakeCache(said("Ask Bob."))
    guard = naming(tmp_path, cache, on_error=OnError.OPEN, audit=Audit(text=AuditText.MASKED))
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert (await guard.ask(question("Who is Alice?"))).status == 200
    (line,) = lines.audit
    assert line["text"] == {"input": [None], "output": [None]}


async def test_messages_without_text_are_none_that_could_not_be_looked_at(tmp_path: Path, lines: Lines) -> None:  # noqa: F811
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asked = question("Who is Alice?")
    asked["messages"] += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]
    await naming(tmp_path, FakeCache(said("Hi.")), audit=Audit(text=AuditText.MASKED)).ask(asked)
    (line,) = lines.audit
    assert line["text"]["input"] == ["Who is [PERSON]?", "", ""]
    assert line["errors"] == []


async def test_a_policy_with_names_can_be_tried(tmp_path: Path) -> None:
    first, second = await tried(compiled(names_model(tmp_path)), ["Who is Alice?", "Who is it?"])
    assert (first.verdict, first.forwarded, first.places[0].kind) == ("Changed", "Who is [PERSON]?", "PersonName")
    assert second.verdict == "Passed"
