"""Answers in pieces of every kind: bytes cut anywhere, and the pieces that a real Triton makes of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from llmops_sidecars.contract import TritonInterface, WebhookRule
from llmops_sidecars.engine.driver import Driver
from llmops_sidecars.guard.policy import MAKERS
from llmops_sidecars.guard.verdict import judge
from llmops_sidecars.guard.window import WholeText
from tests.sidecars_.engine.kit import engine_app, generate, pieces_of
from tests.sidecars_.engine.ways import Way, driving, serving_interface
from tests.sidecars_.guard.forbidden import APART, CASES, FOR_PROMPTS, Case, judged
from tests.sidecars_.guard.hooks import hooked, serving_judge
from tests.sidecars_.guard.kit import FakeCache, contract, guarded, said
from tests.sidecars_.guard.streams import HELD, HURRIED, RATES, releases, text_of
from tests.support.triton import TritonServer

ECHO = "Repeat after me:"
AT_ONCE = 8


def test_the_table_has_every_rule_for_answers() -> None:
    assert judged() | {*FOR_PROMPTS, *APART} == set(MAKERS)
    for case in CASES.values():
        assert all(judge(text, case.bound).counts for text in case.texts)


def question(case: Case, prompt: str) -> dict[str, object]:
    system = [{"role": "system", "content": case.instructions}] if case.instructions else []
    return {"model": "chat", "messages": [*system, {"role": "user", "content": prompt}], "stream": True}


@pytest.mark.parametrize("name", CASES)
async def test_nothing_of_a_finding_leaves_wherever_the_bytes_of_an_answer_are_cut(tmp_path: Path, name: str) -> None:
    """Also inside of a character, of an event's framing and of JSON."""
    case = CASES[name]
    text = min(case.texts, key=len)
    whole = b"".join(said(text[: len(text) // 2], text[len(text) // 2 :]))
    cache = FakeCache()
    guard = guarded(tmp_path, cache, contract(policy=case.policy))
    for place in range(1, len(whole)):
        cache.script = [whole[:place], whole[place:]]
        assert (await guard.ask(question(case, "x"))).text == judge(text, case.bound).text, place


def replay(case: Case, pieces: list[str]) -> None:
    """What leaves of the pieces is what is left of the whole, whatever their pace."""
    chosen, text = case.bound, "".join(pieces)
    left = judge(text, chosen).text
    if chosen.whole:
        held = WholeText(chosen)
        assert not any(held.push(piece, 0.0).text for piece in pieces)
        assert held.flush().text == left
        return
    for bounds, rate in itertools.product((HELD, HURRIED), RATES.values()):
        assert text_of(releases(pieces, chosen, bounds, rate)) == left, pieces


@pytest.fixture(
    scope="module",
    params=[(interface, bytewise) for interface in TritonInterface for bytewise in (False, True)],
    ids=lambda one: f"{one[0]}-{'bytes' if one[1] else 'words'}",
)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[TritonInterface, bool, TritonServer]]:
    """A server whose tokens are words, or bytes: those end inside of characters, too."""
    interface, bytewise = request.param
    with serving_interface(interface, slots=AT_ONCE, iteration_ms=1, byte_tokens=bytewise) as server:
        yield interface, bytewise, server


@pytest.fixture(params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
async def driver(served: tuple[TritonInterface, bool, TritonServer], protocol: str) -> AsyncIterator[Driver]:
    interface, _, server = served
    async with driving(Way(interface, protocol).to(server)) as driver:
        yield driver


def loses(interface: TritonInterface, text: str, *, bytewise: bool) -> bool:
    """Whether Triton itself loses some of a text: a character cut in two, in a stream of differences."""
    return interface is TritonInterface.ENSEMBLE and bytewise and not text.isascii()


@pytest.mark.triton
@pytest.mark.parametrize("name", CASES)
async def test_nothing_of_a_finding_leaves_in_any_pieces_that_triton_makes(
    served: tuple[TritonInterface, bool, TritonServer], driver: Driver, name: str
) -> None:
    (interface, bytewise, _), case, slots = served, CASES[name], asyncio.Semaphore(AT_ONCE)

    async def made(text: str) -> list[str]:
        async with slots:
            pieces = await pieces_of(driver, generate(f"{ECHO}{text}"))
        return [piece.text for piece in pieces if piece.text]

    texts = [text for text in case.texts if not loses(interface, text, bytewise=bytewise)]
    for text, pieces in zip(texts, await asyncio.gather(*map(made, texts)), strict=True):
        assert "".join(pieces) == text
        assert len(pieces) > len(text) / 3 if bytewise else len(pieces) > 1
        replay(case, pieces)


@pytest.mark.triton
@pytest.mark.parametrize("name", CASES)
async def test_the_guard_in_front_of_triton_lets_nothing_of_a_finding_out(
    served: tuple[TritonInterface, bool, TritonServer], protocol: str, tmp_path: Path, name: str
) -> None:
    (interface, bytewise, server), case = served, CASES[name]
    texts = [text for text in case.texts[:AT_ONCE] if not loses(interface, text, bytewise=bytewise)]
    async with engine_app(Way(interface, protocol).to(server)) as app:
        guard = guarded(tmp_path, app, contract(policy=case.policy))
        answers = await asyncio.gather(*(guard.ask(question(case, f"{ECHO}{text}")) for text in texts))
    for text, answer in zip(texts, answers, strict=True):
        assert answer.status == 200
        assert answer.text == judge(text, case.bound).text


@pytest.mark.triton
async def test_what_a_service_blocks_does_not_leave_in_any_pieces(
    served: tuple[TritonInterface, bool, TritonServer], protocol: str, tmp_path: Path
) -> None:
    interface, _, server = served
    async with engine_app(Way(interface, protocol).to(server)) as app, serving_judge() as (service, url):
        service.answer = {"action": "Block"}
        guard = hooked(tmp_path, app, WebhookRule(url), direction="output")
        answer = await guard.ask(
            {"model": "chat", "messages": [{"role": "user", "content": f"{ECHO}a secret word"}], "stream": True}
        )
    assert service.questions[0]["texts"] == ["a secret word"]
    assert b"secret" not in answer.body
    assert b"content_filter" in answer.body
