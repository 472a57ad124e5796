from __future__ import annotations

import itertools
import math

import pytest
from cpu_llm import words
from cpu_llm.ngram import END, NGramModel, documents
from cpu_llm.sampling import Sampling, dice_of
from hypothesis import given
from hypothesis import strategies as st

GREEDY = Sampling()


def said(model: NGramModel, prompt: str, limit: int = 50, sampling: Sampling = GREEDY, seed: int = 0) -> str:
    pieces = itertools.islice(model.write(prompt, sampling, dice_of(seed)), limit)
    return "".join(piece.text for piece in pieces)


@given(st.text())
def test_words_put_together_are_the_text(text: str) -> None:
    assert "".join(words.split(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Call me.", ["Call", " me", "."], id="white space stands before its word"),
        pytest.param("+49 30 12", ["+", "49", " 30", " 12"], id="a number in pieces"),
        pytest.param("a@b.example", ["a", "@", "b", ".", "example"], id="an address in pieces"),
        pytest.param("Grüße ☔ 你好", ["Grüße", " ☔", " 你好"], id="beyond ASCII"),
        pytest.param("end \n", ["end", " \n"], id="white space at the end"),
    ],
)
def test_words_are_cut(text: str, expected: list[str]) -> None:
    assert words.split(text) == expected


def test_blank_lines_part_documents() -> None:
    assert documents("\none\ntwo\n\n \t\nthree  \n\n\n") == ["one\ntwo", "three"]


def test_an_answer_follows_its_document_to_the_end() -> None:
    model = NGramModel(["Call me at noon.", "Mail me at night, please."], order=4)
    assert said(model, "Call me") == " at noon."
    assert said(model, "Mail me") == " at night, please."


@pytest.mark.parametrize(
    "prompt", ["CALL ME", "user: call\n me", "an unknown prelude; call me "], ids=["case", "layout", "prelude"]
)
def test_a_prompt_is_recognised_by_its_last_words(prompt: str) -> None:
    assert said(NGramModel(["Call me at noon.", "Me, too."], order=3), prompt) == " at noon."


def test_the_longest_known_context_decides() -> None:
    model = NGramModel(["a b x", "a b x", "c b y"], order=3)
    assert dict(model.followers(["a", "b"])) == {" x": 2}
    assert dict(model.followers(["unknown", "b"])) == {" x": 2, " y": 1}
    assert dict(model.followers(["b", "unknown"])) == {"a": 2, "c": 1}


def test_the_end_of_a_document_is_a_word_that_may_follow() -> None:
    assert dict(NGramModel(["a b"], order=2).followers(["b"])) == {END: 1}


def test_an_unknown_prompt_is_answered_with_a_document_from_its_start() -> None:
    model = NGramModel(["Good morning."], order=3)
    assert said(model, "xyzzy") == said(model, "") == "Good morning."


def test_of_equal_words_the_first_of_the_corpus_is_taken() -> None:
    assert said(NGramModel(["go left", "go right"], order=2), "go") == " left"


def test_the_same_seed_says_the_same_and_other_seeds_other_things() -> None:
    model = NGramModel([f"go {direction} now" for direction in ("left", "right", "up", "down")], order=2)
    hot = Sampling(temperature=1.0)
    texts = [said(model, "go", sampling=hot, seed=seed) for seed in range(20)]
    assert texts == [said(model, "go", sampling=hot, seed=seed) for seed in range(20)]
    assert len(set(texts)) == 4


def test_each_word_has_its_log_probability() -> None:
    model = NGramModel(["go left", "go left", "go left", "go up"], order=2)
    first = next(model.write("go", GREEDY, dice_of(0)))
    assert first.text == " left"
    assert first.logprob == pytest.approx(math.log(3 / 4))


def test_a_penalty_breaks_a_loop() -> None:
    model = NGramModel(["round and round and round and stop"], order=2)
    assert said(model, "round", limit=20).count("and") == 10
    assert "stop" in said(model, "round", limit=20, sampling=Sampling(frequency_penalty=1.0))
