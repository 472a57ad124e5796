from __future__ import annotations

import pytest

from llmops_sidecars.openai.answers import ChunkChoice, Logprobs, TokenLogprob, decode_chunk
from llmops_sidecars.openai.assembly import Assembly
from llmops_sidecars.openai.errors import ApiError


def assembled(*choices: bytes) -> Assembly:
    assembly = Assembly()
    for document in choices:
        for choice in decode_chunk(b'{"choices": [' + document + b"]}").choices:
            assembly.add(choice)
    return assembly


def test_pieces_of_a_text_are_joined() -> None:
    (choice,) = assembled(
        b'{"delta": {"role": "assistant", "content": ""}}',
        b'{"delta": {"content": "Hello"}}',
        b'{"delta": {"content": " you"}, "finish_reason": "stop"}',
        b"",
    ).choices()
    assert (choice.index, choice.text, choice.finish_reason) == (0, "Hello you", "stop")
    assert (choice.refusal, choice.calls, choice.logprobs) == ("", (), None)


def test_pieces_of_tool_calls_are_joined_in_their_order() -> None:
    (choice,) = assembled(
        b'{"delta": {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}}',
        b'{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]}}',
        b'{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}}',
        b'{"delta": {"tool_calls": [{"index": 0}]}, "finish_reason": "tool_calls"}',
    ).choices()
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.calls if call.function]
    assert calls == [("a", "f", "{}"), ("b", "g", "{}")]


def test_a_refusal_is_kept() -> None:
    (choice,) = assembled(
        b'{"delta": {"refusal": "No"}}', b'{"delta": {"refusal": "."}, "finish_reason": "stop"}'
    ).choices()
    assert (choice.text, choice.refusal) == ("", "No.")


def test_choices_come_in_their_order() -> None:
    choices = assembled(
        b'{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}',
        b'{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}',
    ).choices()
    assert [(choice.index, choice.text, choice.finish_reason) for choice in choices] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]


def test_log_probabilities_are_joined() -> None:
    first, second = TokenLogprob("a", -0.5), TokenLogprob("b", -1.0)
    assembly = Assembly()
    assembly.add(ChunkChoice(logprobs=Logprobs((first,))))
    assembly.add(ChunkChoice(finish_reason="stop", logprobs=Logprobs((second,), (first,))))
    (choice,) = assembly.choices()
    assert choice.logprobs == Logprobs((first, second), (first,))


@pytest.mark.parametrize("documents", [(), (b'{"delta": {"content": "Hello"}}',)], ids=["nothing", "no reason"])
def test_an_answer_that_was_cut_is_none(documents: tuple[bytes, ...]) -> None:
    with pytest.raises(ApiError, match="before it was complete"):
        assembled(*documents).choices()
