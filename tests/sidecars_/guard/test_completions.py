"""`/v1/completions`, from the client's side and the cache's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai.types as sdk
import pytest

from llmops_sidecars.openai.answers import ChunkChoice, Delta, LikelyToken, Logprobs, TokenLogprob
from llmops_sidecars.openai.completions import MOST_PROMPTS
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.events import OBFUSCATED_BYTES, error_event
from tests.sidecars_.guard.kit import MAIL, SECRET, WRITER, FakeCache, guarded, said
from tests.support.asgi import eventually

PATH = "/v1/completions"


def asked(prompt: object = "Once upon", **fields: Any) -> dict[str, Any]:
    return {"model": "chat", "prompt": prompt, **fields}


async def test_a_completion_is_the_answer_to_one_message(tmp_path: Path) -> None:
    cache = FakeCache(said(" a", " time", reason="length"))
    fields = {"seed": 1, "stop": ["\n"], "temperature": 0.5, "n": 1, "logit_bias": {"1": 2}, "max_tokens": 5}
    answer = await guarded(tmp_path, cache).ask(asked(**fields, user="u"), PATH)
    assert cache.requests == [
        {
            "model": "chat",
            "messages": [{"role": "user", "content": "Once upon"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": 5,
            "seed": 1,
            "temperature": 0.5,
            "stop": ["\n"],
            "logit_bias": {"1": 2.0},
        }
    ]
    completion = sdk.Completion.model_validate_json(answer.body, strict=True)
    assert answer.json["choices"] == [{"text": " a time", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert (completion.model, completion.object, completion.created) == ("chat", "text_completion", 1_700_000_000)
    assert completion.id == f"cmpl-{answer.headers['x-request-id']}"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5


async def test_a_stream_says_the_same_in_events(tmp_path: Path) -> None:
    body = asked(stream=True, stream_options={"include_usage": True})
    answer = await guarded(tmp_path, FakeCache(said(" a ", "time"))).ask(body, PATH)
    *chunks, usage, done = answer.events
    assert done == "[DONE]"
    assert {(chunk["object"], chunk["model"], chunk["usage"]) for chunk in chunks} == {
        ("text_completion", "chat", None)
    }
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert {frozenset(choice) for choice in choices} == {frozenset({"index", "text", "logprobs", "finish_reason"})}
    assert "".join(choice["text"] for choice in choices) == " a time"
    assert [choice["finish_reason"] for choice in choices] == [*[None] * (len(choices) - 1), "stop"]
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 2)


async def test_without_a_limit_it_is_short_as_the_specification_says(tmp_path: Path) -> None:
    cache = FakeCache(said("x"))
    await guarded(tmp_path, cache).ask(asked(), PATH)
    assert cache.requests[0]["max_tokens"] == 16


@pytest.mark.parametrize("stream", [True, False])
async def test_a_list_of_prompts_is_answered_in_its_order(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache)
    answer = await guard.ask(asked(["one", "two", "three"], stream=stream), PATH, x_request_id="id")
    assert [request["messages"][0]["content"] for request in cache.requests] == ["one", "two", "three"]
    generations = [headers["x-request-id"] for headers in cache.received]
    assert len(set(generations)) == 3
    assert cache.commits == generations
    if stream:
        choices = [choice for event in answer.events[:-1] for choice in event["choices"]]
        assert [(one["index"], one["text"]) for one in choices if one["text"]] == [(0, "x"), (1, "x"), (2, "x")]
        assert [one["index"] for one in choices if one["finish_reason"]] == [0, 1, 2]
        assert answer.events.count("[DONE]") == 1
    else:
        assert [one["index"] for one in answer.json["choices"]] == [0, 1, 2]
        assert answer.json["usage"] == {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    assert await guard.metric('llmops_tokens_total{direction="input",revision="r1"}') == 9


async def test_choices_of_several_prompts_are_numbered_through(tmp_path: Path) -> None:
    script = [WRITER.choice(ChunkChoice(index, Delta(content="x"), "stop")) for index in (1, 0)] + said()[1:]
    cache = FakeCache(script, headers=[(b"x-llmops-cache", b"bypass")])
    answer = await guarded(tmp_path, cache).ask(asked(["one", "two"], n=2), PATH)
    assert [one["index"] for one in answer.json["choices"]] == [0, 1, 2, 3]


@pytest.mark.parametrize("stream", [True, False])
async def test_no_prompt_is_answered_when_one_is_refused(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("x"))
    answer = await guarded(tmp_path, cache).ask(asked(["fine", f"the key is {SECRET}"], stream=stream), PATH)
    assert (answer.status, answer.error["code"]) == (400, "content_blocked")
    assert cache.requests == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_answer_ends_and_the_next_prompt_is_answered(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache(said("It is Project X, they say"))
    answer = await guarded(tmp_path, cache).ask(asked(["one", "two"], stream=stream), PATH)
    choices = [one for event in answer.events[:-1] for one in event["choices"]] if stream else answer.json["choices"]
    assert [one["finish_reason"] for one in choices if one["finish_reason"]] == ["content_filter"] * 2
    assert "".join(one["text"] for one in choices) == "It is " * 2
    assert cache.commits == []


async def test_personal_data_is_masked_in_text_and_refusal(tmp_path: Path) -> None:
    refusal = WRITER.delta(Delta(refusal=f" Not to {MAIL}."))
    cache = FakeCache([WRITER.role(), WRITER.text(f"Ask {MAIL}."), refusal, *said()[1:]])
    answer = await guarded(tmp_path, cache).ask(asked(), PATH)
    assert answer.json["choices"][0]["text"] == "Ask [EMAIL]. Not to [EMAIL]."


def with_logprobs(text: str, *others: str) -> bytes:
    token = TokenLogprob(text, -0.5, None, tuple(LikelyToken(other, -2.0) for other in others))
    return WRITER.choice(ChunkChoice(0, Delta(content=text), logprobs=Logprobs((token,))))


@pytest.mark.parametrize("stream", [True, False])
async def test_log_probabilities_have_their_older_form(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([with_logprobs("The", "A"), with_logprobs(" sky", " sea"), *said()[1:]])
    answer = await guarded(tmp_path, cache).ask(asked(logprobs=1, stream=stream), PATH)
    assert (cache.requests[0]["logprobs"], cache.requests[0]["top_logprobs"]) == (True, 1)
    choices = [one for event in answer.events[:-1] for one in event["choices"]] if stream else answer.json["choices"]
    told = [one["logprobs"] for one in choices if one["logprobs"]]
    joined = {name: [item for one in told for item in one[name]] for name in told[0]}
    assert joined == {
        "tokens": ["The", " sky"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"A": -2.0}, {" sea": -2.0}],
        "text_offset": [0, 3],
    }


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_ends_it_in_the_usual_envelope(tmp_path: Path, *, stream: bool) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("a"), error_event(engine_failed())])
    answer = await guarded(tmp_path, cache).ask(asked(stream=stream), PATH)
    error = answer.events[-1]["error"] if stream else answer.error
    assert error["code"] == "engine_failed"


async def test_obfuscated_events_hide_how_long_their_texts_are(tmp_path: Path) -> None:
    sizes: set[int] = set()
    for length in range(1, 40):
        body = asked(stream=True, stream_options={"include_obfuscation": True})
        answer = await guarded(tmp_path, FakeCache(said("a" * length))).ask(body, PATH)
        sizes.update(len(event) for event in answer.body.split(b"\n\n") if b'"text":"a' in event)
    assert len(sizes) <= 2
    assert len({size % OBFUSCATED_BYTES for size in sizes}) == 1


BAD: dict[str, tuple[object, str, str | None]] = {
    "no prompt": ({"model": "chat"}, "missing_field", "prompt"),
    "null": (asked(None), "unsupported_parameter", "prompt"),
    "tokens": (asked([1, 2, 3]), "unsupported_parameter", "prompt"),
    "lists of tokens": (asked([[1, 2], [3]]), "unsupported_parameter", "prompt"),
    "a mixture": (asked(["a", 1]), "unsupported_parameter", "prompt"),
    "none": (asked([]), "invalid_value", "prompt"),
    "too many": (asked(["x"] * (MOST_PROMPTS + 1)), "invalid_value", "prompt"),
    "too many with n": (asked(["x"] * 5, n=4), "invalid_value", "prompt"),
    "echo": (asked(echo=True), "unsupported_parameter", "echo"),
    "suffix": (asked(suffix="end"), "unsupported_parameter", "suffix"),
    "best of": (asked(best_of=3), "unsupported_parameter", "best_of"),
    "alternatives": (asked(logprobs=6), "invalid_value", "logprobs"),
    "tokens to generate": (asked(max_tokens=0), "unsupported_parameter", "max_tokens"),
    "n": (asked(n=5), "invalid_value", "n"),
}


@pytest.mark.parametrize(("body", "code", "param"), BAD.values(), ids=BAD)
async def test_a_wrong_request_is_refused_by_field(tmp_path: Path, body: object, code: str, param: str) -> None:
    cache = FakeCache(said("x"))
    answer = await guarded(tmp_path, cache).ask(body, PATH)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param)
    assert cache.requests == []


@pytest.mark.parametrize("fields", [{"echo": False}, {"suffix": ""}, {"best_of": 1}, {"unknown": 1}])
async def test_what_changes_nothing_is_taken(tmp_path: Path, fields: dict[str, object]) -> None:
    answer = await guarded(tmp_path, FakeCache(said("x"))).ask(asked(**fields), PATH)
    assert answer.status == 200


async def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    answer = await guarded(tmp_path, FakeCache()).ask(asked() | {"model": "other"}, PATH)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


async def test_a_client_that_leaves_between_prompts_cancels_the_rest(tmp_path: Path) -> None:
    cache = FakeCache([WRITER.role(), WRITER.text("x"), asyncio.Event()])
    guard = guarded(tmp_path, cache)
    task = asyncio.create_task(guard.ask(asked(["one", "two"], stream=True), PATH))
    await eventually(lambda: cache.requests)
    task.cancel()
    async with asyncio.timeout(5):
        await cache.left.wait()
    assert len(cache.requests) == 1
