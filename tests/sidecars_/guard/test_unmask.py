"""What is masked in a prompt and comes back in its answer: through the guard, however the answer is cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.cache.app import CacheApp
from llmops_sidecars.contract import (
    Action,
    CacheSettings,
    Configuration,
    Contract,
    PiiEntity,
    PiiRule,
    Policy,
    SecretsRule,
    StreamWindow,
)
from llmops_sidecars.openai.answers import Delta, FunctionDelta, ToolCallDelta
from llmops_sidecars.proxy.asgi import Send
from llmops_sidecars.proxy.contract_file import ContractFile
from llmops_sidecars.proxy.inprocess import AppDownstream
from tests.sidecars_.cache.kit import FakeEngine
from tests.sidecars_.guard.kit import MAIL, SECRET, WRITER, FakeCache, Guard, contract, delta, guarded, question, said

PHONE = "+49 30 1234567"
TEXT = f"Write to {MAIL}, call {PHONE}, then write to {MAIL} again."
UNMASK = PiiRule((PiiEntity.EMAIL, PiiEntity.PHONE), unmask=True)


def policy(*output: PiiRule) -> Policy:
    return Policy(
        "unmask", "p1", input=(UNMASK, SecretsRule(Action.MASK)), output=output, stream=StreamWindow(32, 0.05)
    )


@dataclass
class Echo(FakeCache):
    """A cache whose answer repeats the last message, in pieces of `size`; with `tool`, as arguments of a call."""

    size: int = 1
    tool: bool = False

    async def _play(self, send: Send) -> None:
        text: str = self.requests[-1]["messages"][-1]["content"]
        if self.tool:
            text = json.dumps({"to": text}, ensure_ascii=False)
        pieces = [text[place : place + self.size] for place in range(0, len(text), self.size)]
        self.script = said(*pieces) if not self.tool else self._called(pieces)
        await super()._play(send)

    def _called(self, pieces: list[str]) -> list[bytes]:
        begun = _call("call-1", "send", "")
        return [WRITER.role(), begun, *(_call(None, None, piece) for piece in pieces), *said(reason="tool_calls")[1:]]


def _call(name: str | None, function: str | None, arguments: str) -> bytes:
    kind = "function" if name else None
    return delta(Delta(tool_calls=(ToolCallDelta(0, name, kind, FunctionDelta(function, arguments)),)))


async def answered(tmp_path: Path, cache: Echo, used: Policy, text: str = TEXT, *, stream: bool = True) -> str:
    """What the client gets: the content, or the arguments of the call."""
    offered = {"tools": [{"type": "function", "function": {"name": "send"}}]} if cache.tool else {}
    answer = await guarded(tmp_path, cache, contract(policy=used)).ask(question(text, stream=stream, **offered))
    assert answer.status == 200
    if not cache.tool:
        return answer.text if stream else str(answer.json["choices"][0]["message"]["content"])
    if not stream:
        return str(answer.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
    deltas: list[dict[str, Any]] = [choice["delta"] for event in answer.events[:-1] for choice in event["choices"]]
    calls = [call for one in deltas for call in one.get("tool_calls", ())]
    return "".join(call["function"].get("arguments", "") for call in calls if "function" in call)


@pytest.mark.parametrize("output", [(), (PiiRule(),)], ids=["no rules for answers", "rules for answers"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 13, 23, 29, 64, 1000])
async def test_values_come_back_however_a_stream_is_cut(tmp_path: Path, size: int, output: tuple[PiiRule, ...]) -> None:
    cache = Echo(size=size)
    assert await answered(tmp_path, cache, policy(*output)) == TEXT
    sent = cache.requests[0]["messages"][0]["content"]
    assert MAIL not in sent
    assert "1234567" not in sent
    assert sent.count("[EMAIL_") == 2
    assert cache.received[0]["cache-control"] == "no-store"


@pytest.mark.parametrize("place", range(1, 120, 3))
async def test_values_come_back_when_a_stream_is_cut_at_any_place(tmp_path: Path, place: int) -> None:
    @dataclass
    class Halves(Echo):
        async def _play(self, send: Send) -> None:
            text: str = self.requests[-1]["messages"][-1]["content"]
            self.script = said(text[:place], text[place:])
            await FakeCache._play(self, send)

    assert await answered(tmp_path, Halves(), policy(PiiRule())) == TEXT


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("size", [1, 4, 17, 1000])
async def test_values_come_back_in_the_arguments_of_calls(tmp_path: Path, size: int, *, stream: bool) -> None:
    said_in = f'Say "hi" to {MAIL}\nand {PHONE}.'
    cache = Echo(size=size, tool=True)
    arguments = await answered(tmp_path, cache, policy(PiiRule()), said_in, stream=stream)
    assert msgspec.json.decode(arguments) == {"to": said_in}


async def test_values_come_back_in_an_answer_that_does_not_stream(tmp_path: Path) -> None:
    assert await answered(tmp_path, Echo(), policy(PiiRule()), stream=False) == TEXT


async def test_what_the_model_says_itself_is_still_masked(tmp_path: Path) -> None:
    """Values of the prompt come back behind the rules for answers; others do not pass these."""
    cache = FakeCache(said("Ask bob@example.com, ", "not ", "[EMAIL_abcdefghjkmn]"))
    answer = await guarded(tmp_path, cache, contract(policy=policy(PiiRule()))).ask(question(TEXT, stream=True))
    assert answer.text == "Ask [EMAIL], not [EMAIL_abcdefghjkmn]"


async def test_what_is_masked_for_good_stays_so(tmp_path: Path) -> None:
    text = f"Key {SECRET}, mail {MAIL}"
    assert await answered(tmp_path, Echo(), policy(), text) == f"Key [SECRET], mail {MAIL}"


async def test_what_another_rule_masks_for_good_stays_so(tmp_path: Path) -> None:
    used = Policy("p", "p1", input=(UNMASK, PiiRule((PiiEntity.EMAIL,))))
    assert await answered(tmp_path, Echo(), used, f"mail {MAIL}, {PHONE}") == f"mail [EMAIL], {PHONE}"


async def test_the_placeholder_of_one_request_is_only_text_in_another(tmp_path: Path) -> None:
    cache = Echo()
    guard = guarded(tmp_path, cache, contract(policy=policy()))
    await guard.ask(question(TEXT, stream=True))
    placeholder = cache.requests[0]["messages"][0]["content"].split()[2].rstrip(",")
    again = await guard.ask(question(f"{placeholder} and {MAIL}", stream=True))
    assert again.text == f"{placeholder} and {MAIL}"
    assert placeholder not in cache.requests[1]["messages"][0]["content"].split()[-1]


async def test_one_value_has_one_placeholder_in_all_texts_of_a_request(tmp_path: Path) -> None:
    cache = Echo()
    messages = [{"role": "system", "content": f"You are {MAIL}."}, {"role": "user", "content": f"Who is {MAIL}?"}]
    answer = await guarded(tmp_path, cache, contract(policy=policy())).ask(question(messages=messages, stream=True))
    first, second = (one["content"] for one in cache.requests[0]["messages"])
    assert first.removeprefix("You are ").rstrip(".") == second.removeprefix("Who is ").rstrip("?")
    assert answer.text == f"Who is {MAIL}?"


async def test_no_answer_with_a_placeholder_is_remembered(tmp_path: Path) -> None:
    """With a real cache: the same question is asked again, and what came before is in no answer."""
    used = Contract(
        "chat", contract().engine, (Configuration("r1", policy=policy(), cache=CacheSettings(60.0, 1 << 20)),)
    )
    engine = FakeEngine("Noted.")
    file: ContractFile[Contract] = ContractFile(tmp_path / "contract.json", lambda read: read)
    guard = Guard(tmp_path, AppDownstream(CacheApp(AppDownstream(engine), file)))
    guard.use(used)
    file.check()
    for _ in range(2):
        answer = await guard.ask(question(TEXT))
        assert answer.headers["x-llmops-cache"] in {"miss", "bypass"}
    assert len(engine.generations) == 2
    first, second = (one.body["messages"][0]["content"] for one in engine.generations)
    assert first != second
    assert [(await guard.ask(question("Hello"))).headers["x-llmops-cache"] for _ in range(2)] == ["miss", "hit"]


async def test_no_value_and_no_placeholder_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        await answered(tmp_path, Echo(), policy(PiiRule()))
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert logged
    assert MAIL not in logged
    assert "[EMAIL_" not in logged
