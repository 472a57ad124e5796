"""Every field, word and edge of the published specification: taken, or refused by name; every answer as it says.

A claim of a request is one variant of one field, at any level: it is kept when the request is answered, or refused as
`REFUSED` says, by name. A claim of an answer is that it conforms to its schema, that it has a required property, or
that it can have a word. The scores are printed at the end of each run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmops_sidecars.contract import Configuration, Policy, Template, Variable
from llmops_sidecars.contract import Message as TemplateMessage
from llmops_sidecars.openai.answers import (
    ChunkChoice,
    Delta,
    FunctionDelta,
    LikelyToken,
    Logprobs,
    TokenLogprob,
    ToolCallDelta,
)
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.openai.events import error_event
from tests.sidecars_.api.score import SCORES, Score
from tests.sidecars_.guard.kit import WRITER, FakeCache, contract, guarded, said
from tests.support import specification
from tests.support.asgi import Answer, call

ROOT = Path(__file__).parents[3]

CHAT, COMPLETIONS, RESPONSES, EMBEDDINGS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
)
LEAST = {CHAT: 0.99, COMPLETIONS: 0.98, RESPONSES: 0.99, EMBEDDINGS: 1.0}
"""The share of claims that is kept."""

BASES: dict[str, tuple[str, dict[str, Any]]] = {
    CHAT: ("CreateChatCompletionRequest", {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}),
    COMPLETIONS: ("CreateCompletionRequest", {"model": "chat", "prompt": "Hello"}),
    RESPONSES: ("CreateResponse", {"model": "chat", "input": "Hello"}),
    EMBEDDINGS: ("CreateEmbeddingRequest", {"model": "chat", "input": "Hello"}),
}

TOOLS = [{"type": "function", "function": {"name": "text"}}]
FLAT_TOOLS = [{"type": "function", "name": "text", "parameters": {}, "strict": False}]
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    (CHAT, "top_logprobs"): {"logprobs": True},
    (CHAT, "tool_choice"): {"tools": TOOLS},
    (CHAT, "stream_options"): {"stream": True},
    (COMPLETIONS, "stream_options"): {"stream": True},
    (RESPONSES, "tool_choice"): {"tools": FLAT_TOOLS},
    (RESPONSES, "stream_options"): {"stream": True},
}
"""What has to stand beside a field for it to make sense."""

HONOURED: dict[str, set[str]] = {
    CHAT: {
        *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "seed", "stop"),
        *("temperature", "top_p", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "verbosity"),
        *("user", "safety_identifier", "modalities", "store"),
    },
    COMPLETIONS: {
        *("model", "prompt", "stream", "stream_options", "max_tokens", "n", "seed", "stop", "temperature", "top_p"),
        *("frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "user", "best_of", "echo", "suffix"),
    },
    RESPONSES: {
        *("model", "input", "instructions", "prompt", "stream", "stream_options", "max_output_tokens", "temperature"),
        *("top_p", "top_logprobs", "include", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        *("metadata", "user", "safety_identifier", "store", "background", "truncation"),
    },
    EMBEDDINGS: {"model", "input", "encoding_format", "dimensions", "user"},
}
"""Fields that do what the specification says, or, where that cannot be done, are refused in those variants."""

IGNORED: dict[str, set[str]] = {
    CHAT: {
        *("metadata", "service_tier", "prediction"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    },
    COMPLETIONS: set(),
    RESPONSES: {
        *("service_tier", "max_tool_calls"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    },
    EMBEDDINGS: set(),
}
"""Fields that change nothing in an answer."""

REFUSED: dict[str, set[str]] = {
    CHAT: {"audio", "functions", "function_call", "moderation", "web_search_options"},
    COMPLETIONS: set(),
    RESPONSES: {"previous_response_id", "conversation", "context_management", "moderation"},
    EMBEDDINGS: set(),
}
"""Fields that would change the answer, and are refused by name, whatever they say but null."""

NAMES_OF_MODELS = "model"
"""Its words are OpenAI's models, none of which is served: one claim is enough."""

TEMPLATE = Template("text", "text", (TemplateMessage("user", "Hi"),), (Variable("key", default=""),))

ALLOWED = {CHAT: TOOLS[0], RESPONSES: {"type": "function", "name": "text"}}
"""A tool among the allowed ones: to the specification it is any object."""


def test_every_field_of_every_request_has_its_place() -> None:
    for path, (name, _) in BASES.items():
        fields = set(specification.properties(name))
        places = (HONOURED[path], IGNORED[path], REFUSED[path])
        assert sum(map(len, places)) == len(set().union(*places)), path
        assert fields == set().union(*places), path


def test_the_documentation_tells_the_place_of_every_field() -> None:
    """Three lists in each endpoint's row of the table in docs/serving.md."""
    rows = {
        row.split("|")[1].strip().strip("`"): [_words(cell) for cell in row.split("|")[2:5]]
        for row in (ROOT / "docs" / "serving.md").read_text().splitlines()
        if row.startswith("| `/v1/") and row.count("|") == 5
    }
    for path in BASES:
        assert rows[path] == [HONOURED[path], IGNORED[path], REFUSED[path]], path


def _words(cell: str) -> set[str]:
    return {word.strip(" `") for word in cell.split(",")} - {"", "-"}


@pytest.mark.parametrize("path", BASES)
async def test_every_variant_of_every_field_is_taken_or_refused_by_name(tmp_path: Path, path: str) -> None:
    name, base = BASES[path]
    score = SCORES.setdefault(path, Score())
    for field, schema in specification.properties(name).items():
        samples = specification.samples(schema)
        for where, value in samples[:1] if field == NAMES_OF_MODELS else samples:
            sample = "chat" if field == NAMES_OF_MODELS else _meant(path, field, value)
            body = base | BESIDE.get((path, field), {}) | {field: sample}
            score.claim(f"{field}{where}", _otherwise(path, field, value, await _asked(tmp_path, path, body)))
    assert score.share >= LEAST[path], score.misses


def _meant(path: str, field: str, value: Any) -> Any:
    """A sample with a tool where the specification allows any object in the place of one."""
    if field != "tool_choice" or not isinstance(value, dict) or value.get("type") != "allowed_tools":
        return value
    if path == RESPONSES:
        return value | {"tools": [ALLOWED[path]]}
    return value | {"allowed_tools": value["allowed_tools"] | {"tools": [ALLOWED[path]]}}


async def _asked(folder: Path, path: str, body: dict[str, Any]) -> Answer:
    """The answer of a guard whose engine says what was asked for."""
    script = said('{"key": "text"}')
    if body.get("tools") and _requires_call(body.get("tool_choice")):
        delta = ToolCallDelta(0, "x", "function", FunctionDelta("text", "{}"))
        script = [WRITER.delta(Delta(tool_calls=(delta,))), *said(reason="tool_calls")[1:]]
    used = contract(Configuration("r1", policy=Policy(), templates=(TEMPLATE,)))
    return await guarded(folder, FakeCache(() if path == EMBEDDINGS else script), used).ask(body, path)


def _requires_call(choice: Any) -> bool:
    if not isinstance(choice, dict):
        return bool(choice == "required")
    mode = choice.get("mode") or choice.get("allowed_tools", {}).get("mode")
    return "function" in (choice["type"], mode) or mode == "required"


def _otherwise(path: str, field: str, value: Any, answer: Answer) -> str | None:
    """What happened when a claim was not kept; None when it was."""
    if answer.status == 200:
        return "taken, and changes nothing" if field in REFUSED[path] and value is not None else None
    error = answer.error
    refused = (answer.status, error["code"]) == (400, "unsupported_parameter")
    if refused and str(error["param"]).startswith(field) and error["message"] and field not in IGNORED[path]:
        return None
    return f"{answer.status} {error['code']}, {error['param']}: {error['message']}"


def token(text: str) -> TokenLogprob:
    return TokenLogprob(text, -0.5, tuple(text.encode()), (LikelyToken("a", -2.0, (97,)),))


def choice(index: int = 0, delta: Delta | None = None, reason: str | None = None, **fields: Any) -> bytes:
    return WRITER.choice(ChunkChoice(index, delta or Delta(), reason, **fields))


CALLS = [
    WRITER.delta(Delta(tool_calls=(ToolCallDelta(index, "x", "function", FunctionDelta("text", "{}")),)))
    for index in range(2)
]
USAGE = said()[-1].split(b"\n\n", 1)[1]
SCENARIOS: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "text": ({}, said("Hello ", "there")),
    "nothing": ({}, said()),
    "cut": ({"stream_options": {"include_usage": True}}, said("Hello", reason="length")),
    "blocked": ({}, said("It is Project X, they say")),
    "log probabilities": (
        {"logprobs": True, "top_logprobs": 1},
        [choice(delta=Delta(content="Hé"), logprobs=Logprobs((token("Hé"),))), *said()[1:]],
    ),
    "refusal": (
        {"logprobs": True, "top_logprobs": 1},
        [choice(delta=Delta(refusal="No"), logprobs=Logprobs(None, (token("No"),))), *said()[1:]],
    ),
    "calls": ({"tools": TOOLS}, [WRITER.text("So: "), *CALLS, *said(reason="tool_calls")[1:]]),
    "choices": (
        {"n": 2},
        [choice(index, Delta(content="Hi"), "stop") for index in range(2)] + [USAGE],
    ),
    "obfuscated": ({"stream_options": {"include_obfuscation": True}}, said("Hello")),
}

STREAMED_COMPLETION = "CreateCompletionResponse, streamed"
"""The specification has one schema for both; that reason and usage are null until the end, say its words only."""

ANSWERS = {
    CHAT: ("CreateChatCompletionResponse", "CreateChatCompletionStreamResponse"),
    COMPLETIONS: ("CreateCompletionResponse", STREAMED_COMPLETION),
    RESPONSES: ("Response", ""),
}
EVENTS = {
    "error": "ResponseErrorEvent",
    **{
        f"response.{name}": f"Response{schema}Event"
        for name, schema in {
            "created": "Created",
            "in_progress": "InProgress",
            "completed": "Completed",
            "incomplete": "Incomplete",
            "failed": "Failed",
            "output_item.added": "OutputItemAdded",
            "output_item.done": "OutputItemDone",
            "content_part.added": "ContentPartAdded",
            "content_part.done": "ContentPartDone",
            "output_text.delta": "TextDelta",
            "output_text.done": "TextDone",
            "refusal.delta": "RefusalDelta",
            "refusal.done": "RefusalDone",
            "function_call_arguments.delta": "FunctionCallArgumentsDelta",
            "function_call_arguments.done": "FunctionCallArgumentsDone",
        }.items()
    },
}
"""The schema of each event of a streamed response."""


def _asking(path: str, fields: dict[str, Any], *, stream: bool) -> dict[str, Any] | None:
    """A scenario as a request of an endpoint; None where it has none."""
    fields = fields | ({"stream": True} if stream else {})
    if not stream:
        fields.pop("stream_options", None)
    if path == COMPLETIONS:
        if "tools" in fields:
            return None
        alternatives = fields.pop("top_logprobs", None)
        return BASES[path][1] | fields | ({"logprobs": alternatives} if alternatives else {})
    if path == RESPONSES:
        if "n" in fields:
            return None
        fields.pop("logprobs", None)
        if "tools" in fields:
            fields["tools"] = FLAT_TOOLS
        if "include_usage" in fields.get("stream_options", {}):
            fields.pop("stream_options")
    return BASES[path][1] | fields


async def _documents(folder: Path, path: str) -> list[tuple[str, Any, str]]:
    """What an endpoint answers in all scenarios: where it came from, the document, the schema that it has to keep."""
    found: list[tuple[str, Any, str]] = []
    whole, event = ANSWERS[path]
    for name, (fields, script) in SCENARIOS.items():
        for stream in (False, True):
            body = _asking(path, dict(fields), stream=stream)
            if body is None:
                continue
            answer = await guarded(folder, FakeCache(script)).ask(body, path)
            assert answer.status == 200, (name, answer.body)
            if stream:
                events = [one for one in answer.events if one != "[DONE]"]
                found += [(f"{name}, streamed", one, event or EVENTS[one["type"]]) for one in events]
            else:
                found.append((name, answer.json, whole))
    return found


@pytest.mark.parametrize("path", ANSWERS)
async def test_every_answer_and_event_is_as_its_schema_says(tmp_path: Path, path: str) -> None:
    score = SCORES.setdefault(path, Score())
    wrong: list[str] = []
    for where, document, schema in await _documents(tmp_path, path):
        error = next(iter(specification.validator(_plain(schema)).iter_errors(_ended(schema, document))), None)
        said_otherwise = None if error is None else f"{error.json_path}: {error.message}"
        score.claim(f"answer ({where}) as {schema}", said_otherwise)
        wrong += [said_otherwise] if said_otherwise else []
    assert wrong == []


def _plain(schema: str) -> str:
    return schema.partition(",")[0]


def _ended(schema: str, document: Any) -> Any:
    """A streamed completion with its reason and usage, where they are null."""
    if schema != STREAMED_COMPLETION:
        return document
    choices = [one | {"finish_reason": one["finish_reason"] or "stop"} for one in document["choices"]]
    return {name: value for name, value in document.items() if value is not None} | {"choices": choices}


def _required(schema: dict[str, Any]) -> list[str]:
    return list(schema.get("required", ())) + [
        one for part in schema.get("allOf", ()) for one in part.get("required", ())
    ]


@pytest.mark.parametrize("path", ANSWERS)
async def test_what_is_required_is_always_there(tmp_path: Path, path: str) -> None:
    """Schemas say it too; this counts it property by property."""
    score = SCORES.setdefault(path, Score())
    documents = await _documents(tmp_path, path)
    for name in {schema for _, _, schema in documents}:
        for required in _required(specification.schema(_plain(name))):
            lacking = [where for where, document, schema in documents if schema == name and required not in document]
            score.claim(f"{name}.{required}", f"is not there: {lacking}" if lacking else None)
            assert lacking == []


REASONS = {CHAT: {"stop", "length", "tool_calls", "content_filter"}, COMPLETIONS: {"stop", "length", "content_filter"}}
"""Of the words of the specification all but `function_call`, which is the end of an answer to `functions`."""


@pytest.mark.parametrize("path", REASONS)
async def test_every_reason_to_end_is_told(tmp_path: Path, path: str) -> None:
    score = SCORES.setdefault(path, Score())
    told = {
        choice["finish_reason"] for _, document, _ in await _documents(tmp_path, path) for choice in document["choices"]
    }
    for reason in REASONS[path]:
        score.claim(f"finish_reason={reason}", None if reason in told else "never told")
    assert told - {None} == REASONS[path]


async def test_the_events_of_a_response_are_all_told(tmp_path: Path) -> None:
    score = SCORES.setdefault(RESPONSES, Score())
    told = {document["type"] for _, document, _ in await _documents(tmp_path, RESPONSES) if "type" in document}
    failing = FakeCache([WRITER.text("Some words, at least. " * 9), error_event(engine_failed())])
    answer = await guarded(tmp_path, failing).ask(BASES[RESPONSES][1] | {"stream": True}, RESPONSES)
    for event in answer.events:
        specification.validator(EVENTS[event["type"]]).validate(event)
    told |= {event["type"] for event in answer.events}
    for name in EVENTS:
        score.claim(f"event {name}", None if name in told else "never told")
    assert told == set(EVENTS)


async def test_embeddings_are_as_their_schema_says(tmp_path: Path) -> None:
    score = SCORES.setdefault(EMBEDDINGS, Score())
    answer = await guarded(tmp_path, FakeCache()).ask(BASES[EMBEDDINGS][1], EMBEDDINGS)
    specification.validator("CreateEmbeddingResponse").validate(answer.json)
    score.claim("answer as CreateEmbeddingResponse", None)


async def test_models_are_as_their_schema_says(tmp_path: Path) -> None:
    score = SCORES.setdefault("/v1/models", Score())
    app = guarded(tmp_path, FakeCache()).app
    for path, schema in (("/v1/models", "ListModelsResponse"), ("/v1/models/chat", "Model")):
        specification.validator(schema).validate((await call(app, "GET", path)).json)
        score.claim(f"answer as {schema}", None)


def _errors() -> Iterator[tuple[str, str, Any]]:
    for path, (_, base) in BASES.items():
        yield path, "POST", b"{"
        yield path, "POST", base | {"model": "other"}
        yield path, "GET", b""
    yield "/v1/nothing", "POST", b""


@pytest.mark.parametrize(("path", "method", "body"), list(_errors()))
async def test_every_error_is_as_its_schema_says(tmp_path: Path, path: str, method: str, body: Any) -> None:
    answer = await call(guarded(tmp_path, FakeCache()).app, method, path, body=body)
    assert answer.status >= 400
    specification.validator("ErrorResponse").validate(msgspec.json.decode(answer.body))


def test_the_validator_can_say_no() -> None:
    good = {"error": {"message": "m", "type": "t", "param": None, "code": None}}
    assert specification.validator("ErrorResponse").is_valid(good)
    assert not specification.validator("ErrorResponse").is_valid({"error": {"message": "m"}})
    assert not specification.validator("CreateChatCompletionResponse").is_valid({"id": "x"})
