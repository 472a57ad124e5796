"""TensorRT-LLM's older ensemble and vLLM's backend, each over both protocols, on a real Triton."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from llmops_operator.desired import triton as desired
from llmops_sidecars.contract import TritonEmbedding, TritonInterface, TritonLayout
from llmops_sidecars.engine.driver import Driver, GenerateRequest, Piece
from llmops_sidecars.openai.answers import LikelyToken, TokenLogprob, Usage
from llmops_sidecars.openai.errors import ApiError
from tests.sidecars_.engine.kit import CHAT, asked, engine_app, generate, pieces_of
from tests.sidecars_.engine.ways import MODELS, Way, active_requests, driving, serving_interface
from tests.support.asgi import call, eventually
from tests.support.triton import TritonServer
from tests.support.triton_files import ENSEMBLE_REPOSITORY

pytestmark = pytest.mark.triton

OTHERS = (TritonInterface.ENSEMBLE, TritonInterface.VLLM)
WORDS = " one two, grüße 🎈 — five\nsix"
ECHO = f"Repeat after me:{WORDS}"
LONG = "Repeat after me: " + "word " * 2000


@pytest.fixture(params=[Way(interface, protocol) for interface in OTHERS for protocol in ("grpc", "http")], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture(scope="module")
def quick_servers() -> Iterator[dict[TritonInterface, TritonServer]]:
    with contextlib.ExitStack() as stack:
        yield {one: stack.enter_context(serving_interface(one, iteration_ms=2)) for one in OTHERS}


@pytest.fixture(scope="module")
def slow_servers() -> Iterator[dict[TritonInterface, TritonServer]]:
    """One slot, 100 tokens a second."""
    with contextlib.ExitStack() as stack:
        yield {one: stack.enter_context(serving_interface(one, slots=1, iteration_ms=10)) for one in OTHERS}


@pytest.fixture(scope="module")
def failing_servers() -> Iterator[dict[TritonInterface, TritonServer]]:
    """Every answer fails after two tokens."""
    faults = {"error_after_tokens": 2}
    with contextlib.ExitStack() as stack:
        yield {one: stack.enter_context(serving_interface(one, iteration_ms=2, faults=faults)) for one in OTHERS}


@pytest.fixture
def quick(way: Way, quick_servers: dict[TritonInterface, TritonServer]) -> TritonServer:
    return quick_servers[way.interface]


@pytest.fixture
def slow(way: Way, slow_servers: dict[TritonInterface, TritonServer]) -> TritonServer:
    return slow_servers[way.interface]


@pytest.fixture
async def driver(way: Way, quick: TritonServer) -> AsyncIterator[Driver]:
    async with driving(way.to(quick)) as driver:
        yield driver


def text_of(pieces: list[Piece], index: int = 0) -> str:
    return "".join(piece.text for piece in pieces if piece.index == index)


async def test_the_text_streams_token_by_token_and_is_counted(driver: Driver) -> None:
    pieces = await pieces_of(driver, generate(ECHO))
    assert text_of(pieces) == WORDS
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert sum(1 for piece in pieces if piece.text) == sum(piece.tokens for piece in pieces) == 8
    assert pieces[-1].usage == Usage(12, 8, 20)


async def test_an_answer_ends_at_its_limit(driver: Driver) -> None:
    pieces = await pieces_of(driver, generate(ECHO, max_tokens=3))
    assert (text_of(pieces), pieces[-1].finish_reason) == (" one two,", "length")


async def test_a_seed_repeats_and_counts_up_from_choice_to_choice(driver: Driver) -> None:
    fields: dict[str, Any] = {"temperature": 1.5, "top_p": 0.99, "frequency_penalty": 0.1, "presence_penalty": -0.1}
    single = [text_of(await pieces_of(driver, generate("Our", seed=seed, max_tokens=12, **fields))) for seed in (7, 8)]
    pieces = await pieces_of(driver, generate("Our", seed=7, n=2, max_tokens=12, **fields))
    assert [text_of(pieces, index) for index in (0, 1)] == single
    assert len(set(single)) == 2
    *_, last = pieces
    assert last.usage is not None
    assert last.usage.prompt_tokens == 1
    assert last.usage.completion_tokens == sum(piece.tokens for piece in pieces)


async def test_the_application_cuts_the_answer_before_a_stop_word(way: Way, quick: TritonServer) -> None:
    async with engine_app(way.to(quick)) as app:
        answer = await call(app, "POST", CHAT, body=asked("Repeat after me: a b c d e", stop=["c d", "nowhere"]))
    assert answer.text == " a b "
    assert answer.events[-3]["choices"][0]["finish_reason"] == "stop"


async def test_many_answers_at_once_do_not_mix(driver: Driver) -> None:
    prompts = [f"Repeat after me: {number} times {number}" for number in range(24)]
    answers = await asyncio.gather(*(pieces_of(driver, generate(prompt)) for prompt in prompts))
    assert [text_of(answer) for answer in answers] == [prompt.removeprefix("Repeat after me:") for prompt in prompts]


async def test_a_probe(driver: Driver) -> None:
    await driver.probe()


async def test_a_prompt_that_is_too_long_is_the_clients_fault(driver: Driver) -> None:
    with pytest.raises(ApiError) as caught:
        await pieces_of(driver, generate("long " * 5000))
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


@pytest.mark.parametrize("n", [1, 2], ids=["one choice", "two choices"])
async def test_leaving_ends_the_generation_at_the_engine(way: Way, slow: TritonServer, n: int) -> None:
    async with driving(way.to(slow)) as driver:
        async with contextlib.aclosing(driver.generate(generate(LONG, n=n))) as pieces:
            await anext(pieces)
            await eventually(lambda: active_requests(slow) == n)
        await eventually(lambda: active_requests(slow) == 0, seconds=2)


async def test_leaving_before_the_first_token_ends_it_too(way: Way, slow: TritonServer) -> None:
    async with driving(way.to(slow)) as driver:
        running = asyncio.create_task(pieces_of(driver, generate(LONG)))
        waiting = asyncio.create_task(pieces_of(driver, generate(LONG)))
        await eventually(lambda: active_requests(slow) == 2)
        for task in (waiting, running):
            task.cancel()
        await asyncio.wait({running, waiting})
        await eventually(lambda: active_requests(slow) == 0, seconds=2)


async def test_requests_of_the_same_id_do_not_stop_each_other(way: Way, slow: TritonServer) -> None:
    async with driving(way.to(slow)) as driver:
        staying = asyncio.create_task(pieces_of(driver, generate("Repeat after me: a b c")))
        async with contextlib.aclosing(driver.generate(generate(LONG))) as pieces:
            await anext(pieces)
        assert text_of(await staying) == " a b c"


async def test_an_error_in_the_middle_ends_the_answer(
    way: Way, failing_servers: dict[TritonInterface, TritonServer]
) -> None:
    async with engine_app(way.to(failing_servers[way.interface])) as app:
        answer = await call(app, "POST", CHAT, body=asked(ECHO))
        healthy = await call(app, "POST", CHAT, body=asked(ECHO, max_tokens=1))
    assert (answer.status, answer.text) == (200, " one two")
    assert answer.events[-1]["error"]["code"] == "engine_failed"
    assert b"injected" not in answer.body
    assert healthy.text == " one"


async def test_another_interface_than_the_models_is_named(way: Way, quick: TritonServer) -> None:
    other = Way(TritonInterface.LLMAPI, way.protocol)
    async with engine_app(other.to(quick, MODELS[way.interface])) as app:
        answer = await call(app, "POST", CHAT, body=asked(ECHO))
        probe = await call(app, path="/probe")
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")
    assert "has no input 'streaming': the engine's interface is another one" in answer.error["message"]
    assert probe.error["message"] == answer.error["message"]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_log_probabilities_of_vllm(quick_servers: dict[TritonInterface, TritonServer], protocol: str) -> None:
    way = Way(TritonInterface.VLLM, protocol)
    async with driving(way.to(quick_servers[TritonInterface.VLLM])) as driver:
        echoed = await pieces_of(driver, generate("Repeat after me: a ü", logprobs=True, temperature=0))
        told = await pieces_of(driver, generate("Our", logprobs=True, top_logprobs=3, temperature=0, max_tokens=1))
        silent = await pieces_of(driver, generate("Our", temperature=0, max_tokens=1))
    assert [piece.logprobs for piece in echoed] == [
        (TokenLogprob(" a", 0.0, (32, 97)),),
        (TokenLogprob(" ü", 0.0, (32, 195, 188)),),
        None,
    ]
    ((taken,),) = [piece.logprobs for piece in told if piece.logprobs]
    assert len(taken.top_logprobs) == 3
    assert taken.top_logprobs[0] == LikelyToken(taken.token, taken.logprob, taken.bytes)
    assert sorted(taken.top_logprobs, key=lambda one: -one.logprob) == list(taken.top_logprobs)
    assert not any(piece.logprobs for piece in silent)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_log_probabilities_of_the_ensemble_are_refused(
    quick_servers: dict[TritonInterface, TritonServer], protocol: str
) -> None:
    way = Way(TritonInterface.ENSEMBLE, protocol)
    async with driving(way.to(quick_servers[TritonInterface.ENSEMBLE])) as driver:
        with pytest.raises(ApiError) as caught:
            await pieces_of(driver, generate("Our", logprobs=True))
    assert (caught.value.status, caught.value.body.param) == (400, "logprobs")


VECTORS = TritonEmbedding("embedding", "text", "vector")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_embeddings(quick_servers: dict[TritonInterface, TritonServer], protocol: str) -> None:
    engine = Way(TritonInterface.ENSEMBLE, protocol).to(quick_servers[TritonInterface.ENSEMBLE])
    texts = ["one two", "two ONE", "grüße", *(f"number {number}" for number in range(40))]
    async with engine_app(msgspec.structs.replace(engine, embedding=VECTORS)) as app:
        answer = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": texts})
        again = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": texts[:1]})
        refused = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": [1, 2]})
        cut = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": "x", "dimensions": 2})
        failed = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": ["x", " "]})
    vectors = [one["embedding"] for one in answer.json["data"]]
    assert [one["index"] for one in answer.json["data"]] == list(range(43))
    assert vectors[0] == pytest.approx(vectors[1])
    assert len({tuple(vector) for vector in vectors}) >= 42
    assert all(sum(number**2 for number in vector) == pytest.approx(1, abs=1e-5) for vector in vectors)
    assert again.json["data"][0]["embedding"] == vectors[0]
    assert [(one.status, one.error["param"]) for one in (refused, cut)] == [(400, "input"), (400, "dimensions")]
    assert (failed.status, failed.error["code"]) == (503, "engine_unavailable")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize(
    ("embedding", "says"),
    [
        (TritonEmbedding("embedding", "texts", "vector"), "has no input 'texts'"),
        (TritonEmbedding("embedding", "text", "vectors"), "has no output 'vectors' of numbers"),
        (TritonEmbedding("embeddings", "text", "vector"), "not available"),
    ],
    ids=["input", "output", "model"],
)
async def test_embeddings_by_another_name(
    quick_servers: dict[TritonInterface, TritonServer], protocol: str, embedding: TritonEmbedding, says: str
) -> None:
    engine = Way(TritonInterface.ENSEMBLE, protocol).to(quick_servers[TritonInterface.ENSEMBLE])
    async with engine_app(msgspec.structs.replace(engine, embedding=embedding)) as app:
        answer = await call(app, "POST", "/v1/embeddings", body={"model": "chat", "input": "x"})
    assert answer.status == 503
    assert says in answer.error["message"]


BYTES = "grüße 🎈🎈 — ☔"


@pytest.fixture(scope="module", params=[*TritonInterface])
def bytewise(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server whose tokens are bytes, so that most end inside a character; the BLS model accumulates them."""
    interface, repository = request.param, None
    if interface is TritonInterface.ENSEMBLE:
        repository = tmp_path_factory.mktemp("accumulating") / "models"
        shutil.copytree(ENSEMBLE_REPOSITORY, repository)
        config = repository / "tensorrt_llm" / "config.pbtxt"
        config.write_text(config.read_text().replace('string_value: "false"', 'string_value: "true"'))
    with serving_interface(interface, repository=repository, iteration_ms=0, byte_tokens=True) as server:
        yield interface, server


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_tokens_that_end_inside_a_character_arrive_whole(bytewise: Any, protocol: str) -> None:
    interface, server = bytewise
    layout = TritonLayout.CUMULATIVE if interface is TritonInterface.ENSEMBLE else None
    async with driving(Way(interface, protocol).to(server, layout=layout)) as driver:
        pieces = await pieces_of(driver, generate(f"Repeat after me: {BYTES}"))
        cut = await pieces_of(driver, generate("Repeat after me: 🎈", max_tokens=3))
    assert text_of(pieces) == f" {BYTES}"
    assert not any("\ufffd" in piece.text for piece in pieces)
    assert (text_of(cut), cut[-1].finish_reason) == (" \ufffd", "length")


@pytest.fixture(scope="module")
def restricted() -> Iterator[TritonServer]:
    """Closed as the operator closes it."""
    header = f"{desired.RESTRICTED}:llmops-admin=nobody-knows"
    flags = (f"--http-restricted-api={header}", f"--grpc-restricted-protocol={header}")
    with serving_interface(TritonInterface.VLLM, flags=flags, iteration_ms=1) as server:
        yield server


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_all_that_a_driver_needs_is_open_in_a_restricted_triton(restricted: TritonServer, protocol: str) -> None:
    async with driving(Way(TritonInterface.VLLM, protocol).to(restricted)) as driver:
        assert text_of(await pieces_of(driver, generate(ECHO))) == WORDS
    with pytest.raises(urllib.error.HTTPError, match="403"):
        await asyncio.to_thread(urllib.request.urlopen, f"{restricted.http}/v2/models/vllm_model/config")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_an_api_that_is_restricted_is_an_error_of_ours(protocol: str) -> None:
    flags = ("--http-restricted-api=inference:k=v", "--grpc-restricted-protocol=inference:k=v")
    with serving_interface(TritonInterface.VLLM, flags=flags) as server:
        async with engine_app(Way(TritonInterface.VLLM, protocol).to(server)) as app:
            answer = await call(app, "POST", CHAT, body=asked(ECHO))
    assert (answer.status, answer.error["code"]) == (503, "engine_unavailable")


async def test_the_model_below_the_ensemble_can_be_asked_itself(
    quick_servers: dict[TritonInterface, TritonServer],
) -> None:
    """As tensorrt_llm_bls is, whose inputs are the same; a cancelled request ends there without a stop request."""
    server = quick_servers[TritonInterface.ENSEMBLE]
    async with driving(Way(TritonInterface.ENSEMBLE, "grpc").to(server, "tensorrt_llm")) as driver:
        pieces = await pieces_of(driver, GenerateRequest("", generate(ECHO).chat, 4096))
        assert text_of(pieces) == WORDS
        async with contextlib.aclosing(driver.generate(generate(LONG))) as answer:
            await anext(answer)
        await eventually(lambda: active_requests(server) == 0, seconds=2)
