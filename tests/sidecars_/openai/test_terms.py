from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.openai.chat import Tool, ToolChoice
from llmops_sidecars.openai.chat_checks import decode_request, narrowed, terms_of
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.openai.terms import Said, Terms

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def tool(name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def terms(**fields: Any) -> Terms:
    body = {"model": "chat", "messages": [{"role": "user", "content": "x"}], **fields}
    return terms_of(decode_request(msgspec.json.encode(body)))


def schema(**fields: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", **fields}}


def said(text: str = "", *calls: tuple[str, str], refused: bool = False) -> Said:
    one = Said()
    if text:
        one.text(text)
    for number, (name, arguments) in enumerate(calls):
        one.call(number, name)
        one.argue(number, arguments)
    if refused:
        one.refuse()
    return one


OBJECT = {"response_format": {"type": "json_object"}}
SCHEMA = {"response_format": schema(schema=NUMBER, strict=True)}
TWO = {"tools": [tool("f"), tool("g", parameters=NUMBER, strict=True)]}

CONFORMING = {
    "no demands": ({}, said("anything"), "stop"),
    "nothing said": ({}, said(), "stop"),
    "an object": (OBJECT, said('{"a": 1}'), "stop"),
    "cut at its limit": (OBJECT, said('{"a'), "length"),
    "blocked": (SCHEMA, said('{"a'), "content_filter"),
    "to the schema": (SCHEMA, said('{"n": 1}'), "stop"),
    "a lax schema is one too": ({"response_format": schema(schema=NUMBER)}, said('{"n": 1}'), "stop"),
    "a schema without a schema": ({"response_format": schema()}, said("{}"), "stop"),
    "a refusal": (SCHEMA, said(refused=True), "stop"),
    "a call instead of the form": (TWO | SCHEMA, said("", ("f", "{}")), "tool_calls"),
    "calls": (TWO, said("", ("f", '{"any": []}'), ("g", '{"n": 1}')), "tool_calls"),
    "no arguments": (TWO, said("", ("f", "")), "tool_calls"),
    "no call": (TWO, said("Hello"), "stop"),
    "required": (TWO | {"tool_choice": "required"}, said("", ("f", "{}")), "tool_calls"),
    "one call": (TWO | {"parallel_tool_calls": False}, said("", ("f", "{}")), "tool_calls"),
    "arguments cut": (TWO, said("", ("g", '{"n"')), "length"),
}


@pytest.mark.parametrize(("fields", "what", "reason"), CONFORMING.values(), ids=CONFORMING)
def test_what_was_asked_for_passes(fields: dict[str, Any], what: Said, reason: str) -> None:
    terms(**fields).conclude(what, reason)


WRONG = {
    "no JSON": (OBJECT, said("Sure! {}"), "no valid JSON"),
    "nothing": (OBJECT, said(), "no valid JSON"),
    "a list": (OBJECT, said("[]"), "no JSON object"),
    "not to the schema": (SCHEMA, said('{"n": "hunter2"}'), "properties/n/type"),
    "not to a lax schema": ({"response_format": schema(schema=NUMBER)}, said("{}"), "required"),
    "arguments that are no JSON": (TWO, said("", ("f", "{")), "no valid JSON"),
    "arguments that are no object": (TWO, said("", ("f", "[1]")), "no JSON object"),
    "arguments not to the schema": (TWO, said("", ("g", '{"n": "hunter2"}')), "function's parameters"),
    "no call where one is required": (TWO | {"tool_choice": "required"}, said("Hello"), "calls no function"),
    "several calls": (TWO | {"parallel_tool_calls": False}, said("", ("f", "{}"), ("f", "{}")), "several functions"),
    "deep": (OBJECT, said("[" * 100_000), "no valid JSON"),
}


@pytest.mark.parametrize(("fields", "what", "says"), WRONG.values(), ids=WRONG)
def test_what_was_not_asked_for_is_an_error_that_does_not_repeat_it(
    fields: dict[str, Any], what: Said, says: str
) -> None:
    with pytest.raises(ApiError) as caught:
        terms(**fields).conclude(what, "stop")
    assert (caught.value.status, caught.value.code) == (502, "answer_not_conforming")
    assert says in caught.value.body.message
    assert "hunter2" not in caught.value.body.message


CHOICES = {
    "by default all": (None, {"f", "g"}, False),
    "auto": ("auto", {"f", "g"}, False),
    "none": ("none", set(), False),
    "required": ("required", {"f", "g"}, True),
    "one of them": ({"type": "function", "function": {"name": "g"}}, {"g"}, True),
    "some of them": ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [tool("f")]}}, {"f"}, False),
    "one of some": (
        {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("f")]}},
        {"f"},
        True,
    ),
}


@pytest.mark.parametrize(("choice", "names", "required"), CHOICES.values(), ids=CHOICES)
def test_only_offered_and_allowed_functions_may_be_called(choice: Any, names: set[str], required: bool) -> None:  # noqa: FBT001
    made = terms(**TWO, tool_choice=choice)
    assert (set(made.offered), made.call_required) == (names, required)
    for name in names:
        made.require_offered(name)
    with pytest.raises(ApiError, match="not offered") as caught:
        made.require_offered("h")
    assert caught.value.code == "answer_not_conforming"


BAD = {
    "unknown word": (TWO | {"tool_choice": "maybe"}, "tool_choice"),
    "nothing to require": ({"tool_choice": "required"}, "tool_choice"),
    "unknown function": (TWO | {"tool_choice": {"type": "function", "function": {"name": "h"}}}, "tool_choice"),
    "no function": (TWO | {"tool_choice": {"type": "function"}}, "tool_choice.function"),
    "no tools": (TWO | {"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
    "another tool": (TWO | {"tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice.type"),
    "two of one name": ({"tools": [tool("f"), tool("f")]}, "tools"),
    "no schema": ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    "bad schema": ({"response_format": schema(schema={"type": 5})}, "response_format.json_schema.schema"),
    "bad parameters": ({"tools": [tool(parameters={"$ref": "#"}, strict=True)]}, "tools[0].function.parameters"),
    "too much together": (
        {
            "tools": [
                tool(f"f{n}", parameters={"enum": list(range(n * 100, n * 100 + 150))}, strict=True) for n in range(8)
            ]
        },
        "tools[6].function.parameters",
    ),
}


@pytest.mark.parametrize(("fields", "param"), BAD.values(), ids=BAD)
def test_demands_that_make_no_sense_are_refused_by_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        terms(**fields)
    assert (caught.value.status, caught.value.body.param) == (400, param)


def test_engines_get_the_allowed_tools_as_the_only_ones() -> None:
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [tool("g")]}}
    body = {"model": "chat", "messages": [{"role": "user", "content": "x"}], "tool_choice": choice, **TWO}
    request = narrowed(decode_request(msgspec.json.encode(body)))
    assert [one.function.name for one in request.tools or () if one.function] == ["g"]
    assert request.tool_choice == "required"


def test_other_choices_are_passed_on_as_they_are() -> None:
    choice = ToolChoice("function", function=None)
    request = msgspec.structs.replace(
        decode_request(b'{"model": "chat", "messages": [{"role": "user", "content": "x"}]}'), tools=(Tool(),)
    )
    for one in ("auto", choice, None):
        assert narrowed(msgspec.structs.replace(request, tool_choice=one)).tool_choice == one
