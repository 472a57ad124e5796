from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from cpu_llm.batch import Answer, Batch, Job, Limits, RequestRefusedError, Times, admissible
from cpu_llm.faults import EngineFrozenError, Faults
from cpu_llm.ngram import Piece
from cpu_llm.settings import Engine
from hypothesis import given
from hypothesis import strategies as st

WORDS = ("one", " two", " three", " four", " five")
SIZES = Engine(slots=2, iteration_tokens=100, sequence_tokens=64, block_tokens=4, blocks=32)


class Listener:
    """A client that writes down what it is told."""

    def __init__(self) -> None:
        self.left = False
        self.updates: list[Answer] = []
        self.end: Answer | str | None = None
        self.cancelled = False

    def gone(self) -> bool:
        return self.left

    def update(self, answer: Answer) -> None:
        self.updates.append(answer)

    def finish(self, answer: Answer) -> None:
        assert self.end is None
        self.end = answer

    def fail(self, message: str, *, cancelled: bool) -> None:
        assert self.end is None
        self.end, self.cancelled = message, cancelled

    @property
    def texts(self) -> list[str]:
        return [answer.text for answer in self.updates]

    @property
    def answer(self) -> Answer:
        assert isinstance(self.end, Answer)
        return self.end


def job(
    client: Listener,
    words: Sequence[str] = WORDS,
    *,
    prompt: int = 4,
    limits: Limits | None = None,
    streaming: bool = True,
    **more: Any,
) -> Job:
    return Job(
        id=more.pop("request_id", ""),
        client=client,
        pieces=(Piece(word, -0.5) for word in words),
        prompt_tokens=prompt,
        limits=limits or Limits(max_tokens=16),
        streaming=streaming,
        faults=Faults(**more),
        times=Times(arrival=0.5),
    )


def run(*jobs: Job, sizes: Engine = SIZES, steps: int = 200) -> Batch:
    batch = Batch(sizes, 0.0)
    for one in jobs:
        batch.add(one)
    for now in range(1, steps + 1):
        if batch.idle:
            break
        batch.step(float(now))
    return batch


def test_a_stream_repeats_the_text_so_far_and_its_last_answer_has_the_reason() -> None:
    client = Listener()
    run(job(client))
    assert client.texts == ["one", "one two", "one two three", "one two three four", "one two three four five"]
    assert {answer.reason for answer in client.updates} == {None}
    assert (client.answer.text, client.answer.reason) == ("one two three four five", "stop")
    assert client.answer.logprob == pytest.approx(-2.5)


def test_a_whole_answer_comes_once() -> None:
    client = Listener()
    run(job(client, streaming=False))
    assert client.updates == []
    assert client.answer.text == "one two three four five"


@pytest.mark.parametrize(
    ("max_tokens", "sequence_tokens", "text"),
    [(2, 64, "one two"), (16, 7, "one two three")],
    ids=["max_tokens", "max_seq_len"],
)
def test_an_answer_that_is_cut_short_ends_with_length(max_tokens: int, sequence_tokens: int, text: str) -> None:
    client = Listener()
    run(
        job(client, limits=Limits(max_tokens)),
        sizes=Engine(slots=1, iteration_tokens=9, sequence_tokens=sequence_tokens, block_tokens=4, blocks=32),
    )
    assert (client.answer.text, client.answer.reason) == (text, "length")


@pytest.mark.parametrize(
    ("stop", "streaming", "text", "word"),
    [
        pytest.param((" three",), True, "one two", " three", id="a whole word"),
        pytest.param((" two three",), True, "one two", " two three", id="a stream keeps what it has told"),
        pytest.param((" two three",), False, "one", " two three", id="a whole answer does not"),
        pytest.param((" four", "e"), False, "on", "e", id="the first to come"),
        pytest.param(("six",), True, "one two three four five", None, id="none comes"),
    ],
)
def test_an_answer_ends_before_a_stop_word(stop: tuple[str, ...], streaming: bool, text: str, word: str | None) -> None:  # noqa: FBT001 - a column
    client = Listener()
    run(job(client, limits=Limits(16, stop), streaming=streaming))
    assert (client.answer.text, client.answer.stop_word, client.answer.reason) == (text, word, "stop")


def test_a_request_waits_for_a_free_slot_and_nobody_overtakes() -> None:
    clients = [Listener() for _ in range(4)]
    batch = Batch(SIZES, 0.0)
    for client, words in zip(clients, (WORDS, WORDS[:1], WORDS, WORDS[:1]), strict=True):
        batch.add(job(client, words))
    batch.step(1.0)
    assert [len(client.updates) for client in clients] == [1, 1, 0, 0]
    assert (batch.load().running, batch.load().waiting) == (2, 2)
    batch.step(2.0)
    assert clients[1].answer.text == "one"
    batch.step(3.0)
    assert [len(client.updates) for client in clients] == [3, 1, 1, 0]


def test_a_request_waits_for_room_in_the_cache() -> None:
    sizes = Engine(slots=8, iteration_tokens=100, sequence_tokens=64, block_tokens=4, blocks=10)
    first, second = Listener(), Listener()
    batch = Batch(sizes, 0.0)
    for client in (first, second):
        batch.add(job(client, limits=Limits(max_tokens=20)))
    batch.step(1.0)
    load = batch.load()
    assert (load.used_blocks, load.running, load.waiting) == (6, 1, 1)
    for now in range(2, 20):
        batch.step(float(now))
    assert first.answer.text == second.answer.text
    assert batch.load().used_blocks == 0


def test_a_long_prompt_is_read_over_several_iterations_and_holds_up_nobody() -> None:
    sizes = Engine(slots=2, iteration_tokens=10, sequence_tokens=64, block_tokens=4, blocks=32)
    long, short = Listener(), Listener()
    batch = Batch(sizes, 0.0)
    batch.add(job(short, prompt=2))
    batch.step(1.0)
    batch.add(job(long, prompt=25))
    taken = [batch.step(float(now)) for now in (2, 3)]
    assert taken == [10, 10]
    assert (len(long.updates), len(short.updates)) == (0, 3)
    assert batch.load().unread_tokens == 7
    batch.step(4.0)
    assert (len(long.updates), len(short.updates)) == (1, 4)


def test_who_has_left_frees_the_slot_at_the_next_look() -> None:
    client, waiting = Listener(), Listener()
    sizes = Engine(slots=1, iteration_tokens=10, sequence_tokens=64, block_tokens=4, blocks=32)
    batch = Batch(sizes, cancel_seconds=2.0)
    batch.add(job(client))
    batch.add(job(waiting))
    batch.step(10.0)
    client.left = True
    batch.step(11.0)
    assert not client.cancelled
    batch.step(12.0)
    assert (client.end, client.cancelled) == ("Request cancelled by client", True)
    assert len(waiting.updates) == 1


def test_who_leaves_while_waiting_never_runs() -> None:
    sizes = Engine(slots=1, iteration_tokens=10, sequence_tokens=64, block_tokens=4, blocks=32)
    running, waiting = Listener(), Listener()
    batch = Batch(sizes, 0.0)
    batch.add(job(running))
    batch.add(job(waiting))
    waiting.left = True
    batch.step(1.0)
    assert waiting.cancelled
    assert batch.load().waiting == 0


def test_a_stopped_request_keeps_what_it_has() -> None:
    mine, other = Listener(), Listener()
    batch = Batch(SIZES, 0.0)
    batch.add(job(mine, request_id="mine"))
    batch.add(job(other, request_id="other"))
    batch.step(1.0)
    batch.stop("mine")
    batch.step(2.0)
    assert (mine.answer.text, mine.answer.reason) == ("one", "cancelled")
    assert other.end is None


def test_an_answer_tells_its_pieces_and_how_long_its_prompt_was() -> None:
    client = Listener()
    run(job(client, WORDS[:2], prompt=7))
    assert [piece.text for piece in client.answer.pieces] == ["one", " two"]
    assert client.answer.prompt_tokens == 7


def test_parts_of_a_character_make_it_whole() -> None:
    client = Listener()
    parts = [bytes([byte]).decode("ascii", "surrogateescape") for byte in "aü".encode()]
    run(job(client, parts, limits=Limits(16, ("ü",))))
    assert client.texts == ["a", "a\ufffd"]
    assert (client.answer.text, client.answer.stop_word) == ("aü", "ü")


def test_times_are_those_of_the_iterations() -> None:
    client = Listener()
    run(job(client, WORDS[:2], first_token_delay_ms=1500))
    assert client.answer.times == Times(arrival=0.5, scheduled=1.0, first_token=3.0, last_token=5.0)


def test_a_hung_request_keeps_its_slot_until_its_client_leaves() -> None:
    client = Listener()
    batch = run(job(client, hang_after_tokens=2), steps=50)
    assert client.texts == ["one", "one two"]
    assert batch.load().running == 1
    assert batch.step(51.0) == 0
    client.left = True
    batch.step(52.0)
    assert batch.idle


@pytest.mark.parametrize("after", [0, 3], ids=["at once", "later"])
def test_a_failing_request_ends_with_an_error(after: int) -> None:
    client = Listener()
    batch = run(job(client, error_after_tokens=after))
    assert (client.end, client.cancelled) == (f"injected error after {after} tokens", False)
    assert len(client.updates) == after
    assert batch.idle


def test_a_freeze_reaches_the_engine() -> None:
    with pytest.raises(EngineFrozenError):
        run(job(Listener(), freeze_after_tokens=1))


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "message"),
    [(64, 1, "max_seq_len is 64"), (60, 60, "needs 16 KV cache blocks, there are 8")],
    ids=["longer than a sequence", "longer than the cache"],
)
def test_what_can_never_run_is_refused(prompt: int, max_tokens: int, message: str) -> None:
    sizes = Engine(slots=2, iteration_tokens=100, sequence_tokens=64, block_tokens=4, blocks=8)
    with pytest.raises(RequestRefusedError, match=message):
        admissible(sizes, prompt, Limits(max_tokens))


requests = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 30), st.integers(0, 8), st.booleans()), min_size=1, max_size=12
)


@given(requests, st.integers(1, 4), st.integers(1, 20))
def test_everybody_is_answered_and_nothing_is_kept(
    asked: list[tuple[int, int, int, bool]], slots: int, iteration_tokens: int
) -> None:
    sizes = Engine(slots, iteration_tokens, sequence_tokens=64, block_tokens=4, blocks=16)
    clients = [Listener() for _ in asked]
    batch = Batch(sizes, 0.0)
    for client, (prompt, max_tokens, words, leaves) in zip(clients, asked, strict=True):
        batch.add(job(client, WORDS * 2 * (words > 4) or WORDS[:words], prompt=prompt, limits=Limits(max_tokens)))
        client.left = leaves
    for now in range(1, 2000):
        batch.step(float(now))
        load = batch.load()
        assert load.running <= slots
        assert load.used_blocks <= sizes.blocks
        if batch.idle:
            break
    assert batch.idle
    assert all(client.end is not None for client in clients)
