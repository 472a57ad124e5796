"""The OpenAPI document that is served: made from the structs that requests are read with and answers written from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from llmops_sidecars.openai.answers import ChatResponse, Chunk, Model, ModelList
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.chat_checks import REFUSED
from llmops_sidecars.openai.completions import Completion, CompletionRequest
from llmops_sidecars.openai.document_words import ERROR, EXAMPLES, FIELDS
from llmops_sidecars.openai.embeddings import EmbeddingsRequest, EmbeddingsResponse
from llmops_sidecars.openai.errors import ErrorEnvelope
from llmops_sidecars.openai.prompts import PromptList, RenderedPrompt, RenderRequest
from llmops_sidecars.openai.responses.objects import Response
from llmops_sidecars.openai.responses.request import REFUSED as RESPONSES_REFUSED
from llmops_sidecars.openai.responses.request import ResponsesRequest
from llmops_sidecars.openai.responses.writer import EVENTS

ERRORS = {
    400: "The request is wrong, or the policy blocks it: `content_blocked`, and the rule's name.",
    401: "The caller is not known.",
    403: "The caller is known and may not.",
    404: "No such model, template or path.",
    405: "The path takes another method.",
    408: "The body did not arrive in time.",
    413: "The body is larger than allowed.",
    415: "The body is compressed.",
    429: "Too many requests: `Retry-After` says when to come again.",
    500: "A bug; the log has it under the request's id.",
    502: "The engine broke off, or did not answer what was asked for.",
    503: "The engine, or a rule of the policy, is not available, or this server is ending.",
    504: "`Cache-Control: only-if-cached`, and no remembered answer may be given.",
}
"""What may come instead of an answer; all in one envelope."""

RETRIED = frozenset({429, 503})

ENDPOINTS: dict[str, tuple[str, type[Struct], type[Struct], type[Struct] | None]] = {
    "/v1/chat/completions": ("Answer a conversation", ChatRequest, ChatResponse, Chunk),
    "/v1/completions": ("Continue a text", CompletionRequest, Completion, Completion),
    "/v1/responses": ("Answer an input; nothing is stored", ResponsesRequest, Response, None),
    "/v1/embeddings": ("Turn texts into vectors, where the engine can", EmbeddingsRequest, EmbeddingsResponse, None),
}
"""What it does, its request, its answer, and the events of its stream."""

NOT_SERVED = {"ChatRequest": frozenset(REFUSED), "ResponsesRequest": frozenset(RESPONSES_REFUSED)}
"""Fields that structs have only to refuse them by name."""

ANSWERS = (
    *(ChatResponse, Chunk, Completion, Response, EmbeddingsResponse, Model, ModelList, ErrorEnvelope),
    *(PromptList, RenderedPrompt),
)
REFERENCE = "#/components/schemas/{name}"
EVENT = "ResponseEvent"


@cache
def document() -> bytes:
    """The document's bytes."""
    structs = [
        struct for _, request, answer, event in ENDPOINTS.values() for struct in (request, answer, event) if struct
    ]
    _, schemas = msgspec.json.schema_components([*structs, *ANSWERS, RenderRequest], ref_template=REFERENCE)
    written = _written(ANSWERS)
    for name, schema in schemas.items():
        _describe(name, schema, written.get(name))
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM service",
            "description": "A model behind a guard and a cache, in the form of OpenAI's API. Fields that are not named "
            "here are ignored; those that would change the answer and cannot be honoured are refused by name.",
            "version": "1",
        },
        "servers": [{"url": "/"}],
        "paths": {path: {"post": _operation(path)} for path in ENDPOINTS} | _models() | _prompts(),
        "components": {
            "schemas": schemas | {EVENT: _response_event()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }
    return msgspec.json.encode(whole)


def _operation(path: str) -> dict[str, Any]:
    summary, request, answer, event = ENDPOINTS[path]
    asked, answered = EXAMPLES[path]
    content = {"application/json": {"schema": _reference(answer)} | ({"example": answered} if answered else {})}
    if request is ResponsesRequest:
        content["text/event-stream"] = {"schema": _event({"$ref": REFERENCE.format(name=EVENT)})}
    elif event:
        content["text/event-stream"] = {"schema": _event(_reference(event), _reference(ErrorEnvelope), done=True)}
    body = {"required": True, "content": {"application/json": {"schema": _reference(request), "example": asked}}}
    described = {"200": {"description": "The answer.", "headers": _headers(), "content": content}}
    return {"summary": summary, "operationId": _name(path), "requestBody": body, "responses": described | _errors()}


def _event(*documents: dict[str, Any], done: bool = False) -> dict[str, Any]:
    """An event as a schema: its data are one of these documents, or `[DONE]` at the end."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"anyOf": list(documents)}}
    either = {"anyOf": [{"const": "[DONE]"}, data]} if done else data
    return {"type": "object", "properties": {"event": {"type": "string"}, "data": either}, "required": ["data"]}


def _models() -> dict[str, Any]:
    statuses = (401, 403, 404, 405, 500, 503)
    name = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    one = _plain("Tell of a model", "model", Model, statuses) | {"parameters": [name]}
    return {
        "/v1/models": {"get": _plain("List the models", "models", ModelList, statuses)},
        "/v1/models/{model}": {"get": one},
    }


def _prompts() -> dict[str, Any]:
    name = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    body = {"required": True, "content": {"application/json": {"schema": _reference(RenderRequest)}}}
    rendered = _plain("Fill a prompt template, and ask no model", "prompt_render", RenderedPrompt)
    return {
        "/v1/prompts": {"get": _plain("List the prompt templates", "prompts", PromptList)},
        "/v1/prompts/{id}/render": {"post": rendered | {"parameters": [name], "requestBody": body}},
    }


def _plain(summary: str, name: str, answer: type[Struct], statuses: Iterable[int] = ERRORS) -> dict[str, Any]:
    """An operation that asks no engine."""
    content = {"application/json": {"schema": _reference(answer)}}
    described = {"200": {"description": "The answer.", "content": content}}
    return {"summary": summary, "operationId": name, "responses": described | _errors(statuses)}


def _errors(statuses: Iterable[int] = ERRORS) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(ErrorEnvelope), "example": ERROR}}
    return {
        str(status): {"description": ERRORS[status], "content": content}
        | ({"headers": {"Retry-After": {"schema": {"type": "string"}}}} if status in RETRIED else {})
        for status in statuses
    }


def _headers() -> dict[str, Any]:
    told = {
        "x-request-id": "The request's id, as in logs.",
        "x-llmops-revision": "Which configuration answered.",
        "x-llmops-prompt": "The prompt template and its version, where there is one.",
        "Server-Timing": "Where the time went, in milliseconds.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in told.items()}


def _response_event() -> dict[str, Any]:
    return {
        "title": EVENT,
        "description": "An event of a streamed response; what else it has, its type says.",
        "type": "object",
        "properties": {"type": {"enum": list(EVENTS)}, "sequence_number": {"type": "integer", "minimum": 0}},
        "required": ["type", "sequence_number"],
    }


def _describe(name: str, schema: dict[str, Any], required: list[str] | None) -> None:
    """Give a schema's fields their words; leave out those that are only refused; require those always written."""
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split("\n\n")[0].split())
    properties = schema.get("properties", {})
    for field in NOT_SERVED.get(name, frozenset()) & properties.keys():
        del properties[field]
    for field, text in FIELDS.get(name, {}).items():
        if field in properties:
            properties[field]["description"] = text
    if required is not None:
        schema["required"] = sorted(
            {*schema.get("required", []), *(field for field in required if field in properties)}
        )


def _written(answers: Iterable[type[Struct]]) -> dict[str, list[str]]:
    """The fields that answers always have, by struct: all that are neither left out at their default nor unset."""
    found: dict[str, list[str]] = {}
    for info in msgspec.inspect.multi_type_info(answers):
        _collect(info, found)
    return found


def _collect(info: Any, found: dict[str, list[str]]) -> None:
    if isinstance(info, msgspec.inspect.StructType):
        if info.cls.__name__ in found:
            return
        found[info.cls.__name__] = _always(info.cls)
        for field in info.fields:
            _collect(field.type, found)
    for inner in (getattr(info, "item_type", None), *getattr(info, "types", ()), *getattr(info, "item_types", ())):
        if inner is not None:
            _collect(inner, found)


def _always(struct: type[Struct]) -> list[str]:
    defaults = struct.__struct_defaults__
    names = struct.__struct_fields__
    optional = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    if struct.__struct_config__.omit_defaults:
        return [name for name in names if name not in optional]
    return [name for name in names if optional.get(name) is not UNSET]


def _reference(struct: type[Struct]) -> dict[str, Any]:
    return {"$ref": REFERENCE.format(name=struct.__name__)}


def _name(path: str) -> str:
    return path.removeprefix("/v1/").replace("/", "_")
