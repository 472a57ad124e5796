"""The real Triton: what a client sees of the model, over HTTP and over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e_.triton.client import SOON, Client, connected, is_final, reason_of, text_of, until
from tests.support.triton import TritonEndedError, TritonServer, running_triton
from tests.support.triton_files import TRITON_CPU

pytestmark = pytest.mark.triton

TALE = "Tell me a story."
ENDLESS = "Repeat after me:" + " word" * 1800
SCHEDULED = r'nv_trt_llm_request_metrics\{.*request_type="scheduled".*\}'
USED_BLOCKS = r'nv_trt_llm_kv_cache_block_metrics\{.*type="used".*\}'
GPU_FILE = """
model: {model}
backend: pytorch
tensor_parallel_size: 1
max_batch_size: 64
max_seq_len: 16384
kv_cache_config: {{free_gpu_memory_fraction: 0.9, enable_block_reuse: true}}
triton_config: {{max_batch_size: 0, decoupled: true}}
"""


@pytest.fixture
async def client(triton: TritonServer) -> AsyncIterator[Client]:
    async with connected(triton) as connection:
        yield connection


@pytest.fixture(scope="module")
def small_server() -> Iterator[TritonServer]:
    """A server with one slot and the engine's own gauges."""
    model = {"iteration_ms": 5, "engine_metrics": True, "faults": {"allow_in_requests": True}}
    with running_triton({"max_batch_size": 1, "cpu_model": model}) as server:
        yield server


@pytest.fixture
async def small(small_server: TritonServer) -> AsyncIterator[Client]:
    async with connected(small_server) as connection:
        yield connection


async def test_http_streams_the_text_so_far_and_names_the_reason_last(client: Client) -> None:
    events = [event async for event in client.stream(TALE, sampling_param_max_tokens=30)]
    texts = [event["text_output"] for event in events]
    assert len(texts) == 30
    assert all(after.startswith(before) and len(after) > len(before) for before, after in pairwise(texts))
    assert [event["finish_reason"] for event in events] == ["None"] * 29 + ["length"]


async def test_grpc_streams_the_same_and_marks_the_last(client: Client) -> None:
    results = [result async for result, error in client.call(TALE, sampling_param_max_tokens=30) if error is None]
    whole = await client.whole(TALE, sampling_param_max_tokens=30)
    assert [is_final(result) for result in results] == [False] * 29 + [True]
    assert [reason_of(result) for result in results] == ["None"] * 29 + ["length"]
    assert text_of(results[-1]) == whole["text_output"]
    assert text_of(results[-1]).startswith(text_of(results[10]))


async def test_an_answer_that_ends_by_itself_says_stop(client: Client) -> None:
    events = [event async for event in client.stream("Call me")]
    assert events[-1]["text_output"] == " at +49 30 1234567 tomorrow."
    assert events[-1]["finish_reason"] == "stop"


async def test_the_engine_repeats_what_it_received(client: Client) -> None:
    said = "Grüße, 你好 ☔ 👩‍👩‍👧 to [EMAIL]"
    events = [event async for event in client.stream(f"user: Repeat after me: {said}\nassistant:")]
    assert events[-1]["text_output"] == f" {said}"
    assert len(events) > 8


async def test_a_seed_decides_alone_and_in_company(client: Client) -> None:
    fields = {"sampling_param_temperature": 5.0, "sampling_param_max_tokens": 40}
    answers = await asyncio.gather(*(client.whole("The", sampling_param_seed=seed, **fields) for seed in (1, 2, 3) * 6))
    texts = [answer["text_output"] for answer in answers]
    assert texts[:3] * 6 == texts
    assert len(set(texts)) == 3


async def test_a_stop_word_ends_an_answer_and_is_named(client: Client) -> None:
    fields = {"return_stop_reason": True, "return_finish_reason": True, "return_cumulative_logprob": True}
    answer = await client.whole("Call me", sampling_param_stop=["30 1234567"], **fields)
    assert (answer["text_output"], answer["finish_reason"], answer["stop_reason"]) == (" at +49 ", "stop", "30 1234567")
    assert float(answer["cumulative_logprob"]) <= 0


async def test_performance_comes_as_text_and_in_order(client: Client) -> None:
    answer = await client.whole("Call me", sampling_param_return_perf_metrics=True)
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    times = [int(answer[f"{name}_time_ns"]) for name in names]
    assert times == sorted(times)
    assert times[0] < times[-1]
    assert answer["kv_cache_alloc_total_blocks"] == "2"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            b'{"text_input": "x", "sampling_param_max_tokens": 0}', "must be at least 1, not 0", id="no tokens"
        ),
        pytest.param(b'{"text_input": "x", "sampling_param_top_p": 1.5}', "top_p must be above 0", id="top_p"),
        pytest.param(b'{"text_input": "x", "sampling_param_temperature": -1}', "at least 0", id="temperature"),
        pytest.param(b'{"text_input": ["x", "y"]}', "one prompt, not 2", id="two prompts"),
        pytest.param(b'{"sampling_param_max_tokens": 3}', "one prompt, not 0", id="no prompt"),
        pytest.param(b'{"text_input": "\xff"}', "text_input is not valid UTF-8 at byte 0", id="not UTF-8"),
        pytest.param(b'{"text_input": "x", "lora_id": 1}', "lora_id", id="an adapter"),
        pytest.param(b'{"text_input": "x", "sampling_param_best_of": 2}', "best_of", id="best of two"),
        pytest.param(b'{"text_input": "x", "stop": true}', "A request id must be provided", id="a stop for nobody"),
        pytest.param(b'{"text_input": "x", "fault_unknown": 1}', "no fault 'unknown'", id="an unknown fault"),
        pytest.param(b'{"text_input": "x", "sampling_param_max_tokens": 99999}', None, id="as long as there is room"),
    ],
)
async def test_a_bad_request_is_refused_in_words(client: Client, body: bytes, message: str | None) -> None:
    answer = await client.post(body)
    assert answer["status"] == (400 if message else 200)
    assert (message or "") in answer.get("error", "")


async def test_a_prompt_that_fits_nowhere_is_refused(client: Client) -> None:
    answer = await client.whole("word " * 5000)
    assert answer["status"] == 400
    assert "max_seq_len is 4096" in answer["error"]


async def test_a_stop_request_ends_the_one_of_its_id(client: Client) -> None:
    events = []
    async for event in client.stream("The", id="mine", fault_hang_after_tokens=3):
        events.append(event)
        if len(events) == 3:
            stop = await client.whole("", id="mine", stop=True)
    assert stop["error"] == "Request cancelled by client"
    assert [event["finish_reason"] for event in events] == ["None"] * 3 + ["cancelled"]


@pytest.mark.parametrize("hung", [True, False], ids=["hung", "running"])
async def test_closing_an_http_stream_frees_the_slot(small: Client, hung: bool) -> None:  # noqa: FBT001 - a column
    fault = {"fault_hang_after_tokens": 2} if hung else {}
    events = small.stream(ENDLESS, sampling_param_max_tokens=2000, **fault)
    await anext(events)
    await small.until_metric(SCHEDULED, 1)
    await events.aclose()
    await small.until_metric(SCHEDULED, 0)
    assert await small.metric(USED_BLOCKS) == 0


async def test_cancelling_a_grpc_stream_frees_the_slot(small: Client) -> None:
    call = small.call(TALE, {"fault_hang_after_tokens": 1})
    await anext(call)
    waiting = asyncio.create_task(small.whole("Call me"))
    await small.until_metric(SCHEDULED.replace("scheduled", "waiting"), 1)
    call.cancel()
    answer = await asyncio.wait_for(waiting, SOON)
    assert answer["text_output"] == " at +49 30 1234567 tomorrow."


async def test_a_server_has_no_engine_gauges_unless_told(client: Client, small: Client) -> None:
    assert await client.metric(SCHEDULED) is None
    assert await small.metric(SCHEDULED) is not None


@pytest.mark.parametrize("name", ["http", "grpc"])
async def test_an_error_comes_after_the_text_before_it(client: Client, name: str) -> None:
    if name == "http":
        events = [event async for event in client.stream(TALE, fault_error_after_tokens=3)]
        errors = [event.get("error") for event in events]
    else:
        call = client.call(TALE, {"fault_error_after_tokens": 3})
        errors = [None if error is None else error.message() async for _, error in call]
    assert errors == [None, None, None, "injected error after 3 tokens"]


async def test_a_first_token_can_be_late(client: Client) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    events = client.stream("Call me", fault_first_token_delay_ms=300)
    await anext(events)
    assert loop.time() - start >= 0.3
    await events.aclose()


async def test_faults_are_refused_unless_allowed(tmp_path: Path) -> None:
    """With a file as an operator writes it for a GPU: it loads, brings its own model, and allows no faults."""
    path = tmp_path / "gpu.yaml"
    path.write_text(GPU_FILE.format(model=TRITON_CPU / "model-data"))
    with running_triton(path) as server:
        async with connected(server) as client:
            answer = await client.whole("Which model are you?")
            refused = await client.whole("x", fault_hang_after_tokens=1)
        assert answer["text_output"].startswith(" I am the model from the mounted directory")
        assert "allow_in_requests is false" in refused["error"]
        assert "without a meaning on a CPU: model.yaml.backend, " in server.log()


async def test_when_the_model_s_process_dies_health_does_not_notice() -> None:
    """Why a deep probe is needed: this Triton, 2.51, is older than the versions that look."""
    with running_triton({"cpu_model": {"faults": {"crash_after_tokens": 3}}}) as server:
        async with connected(server) as client:
            events = client.stream(TALE)
            texts = [(await anext(events))["text_output"] for _ in range(3)]
            assert texts == [" In", " In the", " In the year"]
            await until(lambda: asyncio.to_thread(server.model_processes), [])
            answer = await client.whole(TALE)
            assert answer["status"] == 400
            assert "is not healthy" in answer["error"]
            assert await client.status("/v2/health/ready") == 200
            await events.aclose()


async def test_a_frozen_engine_answers_nobody_and_stays_ready() -> None:
    with running_triton({"cpu_model": {"iteration_ms": 1, "faults": {"freeze_after_tokens": 0}}}) as server:
        async with connected(server) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.whole("Call me"), 0.5)
            assert await client.status("/v2/health/ready") == 200


def test_a_file_that_is_wrong_ends_the_start_with_its_reason() -> None:
    with (
        pytest.raises(TritonEndedError, match=r"cpu_model: order must be at least 2, not 1"),
        running_triton({"cpu_model": {"order": 1}}),
    ):
        pass
