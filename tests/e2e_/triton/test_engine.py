from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest
from cpu_llm.batch import Answer, Batch, Job, Limits, Load, Times
from cpu_llm.engine import InferenceEngine
from cpu_llm.faults import Faults
from cpu_llm.ngram import Piece
from cpu_llm.settings import Engine

SIZES = Engine(slots=2, iteration_tokens=100, sequence_tokens=1024, block_tokens=4, blocks=512)
SOON = 5.0


class Mailbox:
    """A client whose answers another thread can wait for."""

    def __init__(self) -> None:
        self.left = threading.Event()
        self._told: queue.Queue[Answer | str] = queue.Queue()

    def gone(self) -> bool:
        return self.left.is_set()

    def update(self, answer: Answer) -> None:
        self._told.put(answer)

    def finish(self, answer: Answer) -> None:
        self._told.put(answer)

    def fail(self, message: str, *, cancelled: bool) -> None:
        self._told.put(f"{message} {cancelled}")

    def next(self) -> Answer | str:
        return self._told.get(timeout=SOON)

    def last(self) -> Answer | str:
        while True:
            told = self.next()
            if isinstance(told, str) or told.reason:
                return told


@pytest.fixture
def loads() -> list[Load]:
    return []


@pytest.fixture
def engine(loads: list[Load]) -> Iterator[InferenceEngine]:
    running = InferenceEngine(Batch(SIZES, 0.0), 0.002, loads.append, print)
    running.start()
    yield running
    running.close()


def job(client: Mailbox, words: int = 5, request_id: str = "", **faults: int) -> Job:
    return Job(
        id=request_id,
        client=client,
        pieces=(Piece(" word", 0.0) for _ in range(words)),
        prompt_tokens=1,
        limits=Limits(1000),
        streaming=True,
        faults=Faults(**faults),
        times=Times(time.monotonic()),
    )


def reason(answer: Answer | str) -> str | None:
    assert isinstance(answer, Answer)
    return answer.reason


def test_requests_are_answered_side_by_side(engine: InferenceEngine) -> None:
    clients = [Mailbox() for _ in range(5)]
    for client in clients:
        engine.submit(job(client))
    assert [reason(client.last()) for client in clients] == ["stop"] * 5


def test_an_iteration_takes_its_time(engine: InferenceEngine) -> None:
    client = Mailbox()
    engine.submit(job(client, words=50))
    answer = client.last()
    assert isinstance(answer, Answer)
    assert answer.times.last_token is not None
    assert answer.times.last_token - answer.times.arrival >= 51 * 0.002


def test_a_client_that_leaves_is_let_go(engine: InferenceEngine) -> None:
    client = Mailbox()
    engine.submit(job(client, hang_after_tokens=1))
    client.next()
    client.left.set()
    assert client.last() == "Request cancelled by client True"


def test_a_request_can_be_stopped_by_its_id(engine: InferenceEngine) -> None:
    client = Mailbox()
    engine.submit(job(client, request_id="mine", hang_after_tokens=1))
    client.next()
    engine.stop("mine")
    assert reason(client.last()) == "cancelled"


def test_the_load_is_told_at_the_start_and_when_nothing_is_left(engine: InferenceEngine, loads: list[Load]) -> None:
    client = Mailbox()
    engine.submit(job(client, words=100))
    client.last()
    engine.close()
    assert [loads[0].running, loads[-1].running] == [0, 0]
    assert max(load.running for load in loads) == 1


def test_closing_lets_requests_end(loads: list[Load]) -> None:
    running = InferenceEngine(Batch(SIZES, 0.0), 0.001, loads.append, print)
    running.start()
    client = Mailbox()
    running.submit(job(client, words=20))
    running.close()
    assert reason(client.last()) == "stop"


def test_a_frozen_engine_says_so_and_answers_nobody() -> None:
    logged: queue.Queue[str] = queue.Queue()
    running = InferenceEngine(Batch(SIZES, 0.0), 0.001, lambda _: None, logged.put)
    running.start()
    frozen = Mailbox()
    frozen.left.set()
    running.submit(job(Mailbox(), freeze_after_tokens=0))
    assert logged.get(timeout=SOON) == "fault: the engine stands still"
    running.submit(job(frozen))
    with pytest.raises(queue.Empty):
        frozen._told.get(timeout=0.1)
