from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.openai.embeddings import (
    Embedding,
    EmbeddingsResponse,
    EmbeddingsUsage,
    decode_embeddings_request,
    decoded_vector,
    encode_embeddings,
    encoded_vector,
)
from llmops_sidecars.openai.errors import ApiError


def body(value: Any, **fields: Any) -> bytes:
    return msgspec.json.encode({"model": "m", "input": value, **fields})


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("one", ("one",)),
        (["one", "two"], ("one", "two")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
    ids=["a text", "texts", "tokens", "lists of tokens"],
)
def test_each_input_gets_a_vector(value: Any, inputs: tuple[Any, ...]) -> None:
    request = decode_embeddings_request(body(value, encoding_format="base64", dimensions=8, user="u", new_field=1))
    assert (request.inputs, request.encoding_format, request.dimensions) == (inputs, "base64", 8)


@pytest.mark.parametrize(
    ("document", "param"),
    [
        (b"{", None),
        (b'{"model": "m"}', "input"),
        (body(""), "input[0]"),
        (body([]), "input"),
        (body(["one", ""]), "input[1]"),
        (body([[]]), "input[0]"),
        (body(["one", 2]), "input"),
        (body([1, [2]]), "input"),
        (body([1.5]), "input[0]"),
        (body(["x"] * 2049), "input"),
        (body("x", encoding_format="hex"), "encoding_format"),
        (body("x", dimensions=0), "dimensions"),
    ],
    ids=[
        "no JSON",
        "no input",
        "empty text",
        "empty list",
        "one empty text",
        "no tokens",
        "mixture",
        "mixture of tokens",
        "fraction",
        "too many",
        "unknown encoding",
        "no dimensions",
    ],
)
def test_what_is_wrong_is_named(document: bytes, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        decode_embeddings_request(document)
    assert (caught.value.status, caught.value.body.param) == (400, param)


def test_an_answer_has_openais_shape() -> None:
    answer = EmbeddingsResponse((Embedding((0.5, -1.0), 0),), "m", EmbeddingsUsage(3, 3))
    assert msgspec.json.decode(encode_embeddings(answer)) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}],
        "model": "m",
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1).map(tuple))
def test_base64_is_floats_of_32_bits_lowest_byte_first(vector: tuple[float, ...]) -> None:
    encoded = encoded_vector(vector, "base64")
    assert encoded == base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    assert decoded_vector(encoded) == vector
    assert decoded_vector(encoded_vector(vector, None)) == vector


@pytest.mark.parametrize("embedding", ["?", "AAAAAAA="])
def test_a_vector_that_is_none_is_an_error(embedding: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        decoded_vector(embedding)
