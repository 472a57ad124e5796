from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cpu_llm import settings, words
from cpu_llm.author import Author, after_last, without_suffix
from cpu_llm.sampling import Sampling, dice_of

from tests.support.triton_files import MODEL_YAML

BUILT_IN = settings.load(MODEL_YAML.parent).model


@pytest.fixture(scope="module")
def author() -> Author:
    return Author(BUILT_IN)


def pieces(author: Author, prompt: str) -> list[str]:
    return [piece.text for piece in author.write(prompt, Sampling(), dice_of(0))]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        pytest.param("Call me", " at +49 30 1234567 tomorrow.", id="a telephone number"),
        pytest.param("Mail me", " at maria.lindqvist@kestrel-and-rowe.example before noon.", id="an address"),
        pytest.param("The card", " that was charged is 4111 1111 1111 1111, as shown on your receipt.", id="a card"),
    ],
)
def test_the_built_in_corpus_says_what_guards_are_for(author: Author, prompt: str, expected: str) -> None:
    assert "".join(pieces(author, prompt)) == expected


@pytest.mark.parametrize("prompt", ["Our company", "Our support", "What is your refund policy?", "Tell me a story."])
def test_the_built_in_corpus_has_long_answers(author: Author, prompt: str) -> None:
    assert len(pieces(author, prompt)) > 20


@pytest.mark.parametrize(
    "layout",
    [
        "system: You help customers of Acme.\nuser: {}\nassistant:",
        "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n",
        "[INST] {} [/INST]",
        "{}",
    ],
    ids=["roles", "ChatML", "Llama", "Gemma", "Mistral", "plain"],
)
@pytest.mark.parametrize(
    ("message", "answer"),
    [("Call me", " at +49 30 1234567 tomorrow."), ("Repeat after me: an assistant", " an assistant")],
    ids=["continued", "repeated"],
)
def test_a_message_is_found_in_every_layout(author: Author, layout: str, message: str, answer: str) -> None:
    assert "".join(pieces(author, layout.format(message))) == answer


def test_an_echo_comes_word_by_word(author: Author) -> None:
    assert pieces(author, "Repeat after me: write to [EMAIL]") == [" write", " to", " [", "EMAIL", "]"]


def test_nothing_to_repeat_is_an_empty_answer(author: Author) -> None:
    assert pieces(author, "Repeat after me:") == []


def test_a_token_of_a_byte_may_end_inside_a_character() -> None:
    author = Author(replace(BUILT_IN, byte_tokens=True))
    said = pieces(author, "Repeat after me: aü🎈")
    assert len(said) == len(" aü🎈".encode())
    so_far = [words.readable("".join(said[: end + 1])) for end in range(len(said))]
    assert so_far[-1] == " aü🎈"
    assert [text.endswith("\ufffd") for text in so_far] == [False, False, True, False, True, True, True, False]


@pytest.mark.parametrize(
    ("prefix", "message", "expected"),
    [
        pytest.param("Say:", "Say: a Say: b", " b", id="the last one counts"),
        pytest.param("Say:", "say: a", None, id="case matters"),
        pytest.param("Say:", "a", None, id="not there"),
        pytest.param("", "a", None, id="switched off"),
    ],
)
def test_what_follows_the_prefix_is_repeated(prefix: str, message: str, expected: str | None) -> None:
    assert after_last(prefix, message) == expected


def test_a_long_run_of_spaces_takes_no_time() -> None:
    start = time.process_time()
    assert without_suffix(BUILT_IN.chat_suffix, " " * 10**6 + "x") == " " * 10**6 + "x"
    assert time.process_time() - start < 1


def test_an_empty_suffix_cuts_nothing() -> None:
    assert without_suffix(re.compile(""), "a assistant:") == "a assistant:"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "no text"), (b"\n \n\n", "no text"), (b"\xff", "cannot be read")],
    ids=["missing", "empty", "blank", "not UTF-8"],
)
def test_a_corpus_that_teaches_nothing_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    with pytest.raises(settings.SettingsError, match=message):
        Author(replace(BUILT_IN, corpus=corpus))
