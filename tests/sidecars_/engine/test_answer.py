"""What responses say of an answer."""

from __future__ import annotations

import pytest

from llmops_sidecars.engine.answer import Answer, Response
from llmops_sidecars.engine.driver import Piece
from llmops_sidecars.openai.answers import LikelyToken, TokenLogprob, Usage
from llmops_sidecars.openai.errors import ApiError


def answer(*, cumulative: bool = False, told: bool = True, most_tokens: int = 100, alternatives: int = 0) -> Answer:
    return Answer(cumulative=cumulative, told=told, most_tokens=most_tokens, alternatives=alternatives)


@pytest.mark.parametrize(
    ("cumulative", "texts"),
    [(True, ["one", "one two", "one two"]), (False, ["one", " two", ""])],
    ids=["cumulative", "deltas"],
)
def test_responses_become_pieces(texts: list[str], *, cumulative: bool) -> None:
    found = answer(cumulative=cumulative)
    reasons = [("None", "None"), ("", None), ("stop", "END")]
    pieces = [found.piece(Response(text, *more)) for text, more in zip(texts, reasons, strict=True)]
    assert pieces == [Piece("one", 1), Piece(" two", 1), Piece("", 0, "stop", "END")]
    assert found.end() is None


def test_a_model_that_counts_is_believed() -> None:
    found = answer()
    pieces = [
        found.piece(Response("", "None", num_input_tokens=5, num_output_tokens=1)),
        found.piece(Response("one two", "None", num_input_tokens=5, num_output_tokens=2)),
        found.piece(Response("", "stop", num_input_tokens=5, num_output_tokens=0)),
    ]
    assert pieces == [Piece("", 1), Piece("one two", 2), Piece("", 0, "stop", usage=Usage(5, 3, 8))]


@pytest.mark.parametrize(
    ("texts", "counts", "most", "reason"),
    [
        (["a", "b"], [None, None], 3, "stop"),
        (["a", "b"], [None, None], 2, "length"),
        (["a", "b"], [1, 2], 3, "length"),
        (["a", ""], [1, 0], 2, "stop"),
        ([], [], 1, "stop"),
    ],
    ids=["ended", "as long as allowed", "by the model's count", "a last one without a token", "nothing"],
)
def test_where_no_reason_is_told_the_end_of_the_stream_ends_the_answer(
    texts: list[str], counts: list[int | None], most: int, reason: str
) -> None:
    found = answer(told=False, most_tokens=most)
    for text, count in zip(texts, counts, strict=True):
        assert found.piece(Response(text, num_output_tokens=count)).finish_reason is None
    assert found.end() == Piece("", 0, reason)


def test_what_a_last_cumulative_text_held_back_leaves_at_the_end() -> None:
    found = answer(cumulative=True, told=False)
    assert found.piece(Response("a \ufffd")).text == "a "
    assert found.end() == Piece("\ufffd", 0, "stop")


@pytest.mark.parametrize("finish_reason", ["cancelled", "timeout", "not_finished", "abort", "error"])
def test_an_engine_that_gives_up_has_failed(finish_reason: str) -> None:
    with pytest.raises(ApiError) as caught:
        answer().piece(Response("one", finish_reason))
    assert caught.value.code == "engine_failed"


POSITIONS = """[
    {"7": {"logprob": -2.0, "rank": 3, "decoded_token": " b"},
     "5": {"logprob": -0.5, "rank": 1, "decoded_token": " a"},
     "9": {"logprob": -1.0, "rank": 2, "decoded_token": "\ufffd"}},
    {"3": {"logprob": 0.0, "rank": null, "decoded_token": null}},
    {}
]"""


def test_vllms_log_probabilities_have_openais_shape() -> None:
    piece = answer(alternatives=2).piece(Response(" b", logprobs=POSITIONS))
    alternatives = (LikelyToken(" a", -0.5, (32, 97)), LikelyToken("\ufffd", -1.0, None))
    assert piece.logprobs == (
        TokenLogprob(" b", -2.0, (32, 98), alternatives),
        TokenLogprob("", 0.0, (), (LikelyToken("", 0.0, ()),)),
    )


@pytest.mark.parametrize("document", ["null", "[]", "[{}]"])
def test_no_log_probabilities_are_none(document: str) -> None:
    assert answer().piece(Response("a", logprobs=document)).logprobs is None


def test_log_probabilities_of_another_shape_are_a_failure() -> None:
    with pytest.raises(ApiError, match="unknown shape"):
        answer().piece(Response("a", logprobs='{"5": -1.0}'))
