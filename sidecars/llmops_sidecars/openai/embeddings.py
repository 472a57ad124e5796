"""Embeddings: the request and the answer of `/v1/embeddings`."""

from __future__ import annotations

import array
import base64
import re
import sys
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from llmops_sidecars.openai.decoding import decode_with
from llmops_sidecars.openai.errors import engine_failed, invalid_request

MAX_INPUTS = 2048
"""OpenAI's limit on texts in one request."""

Tokens = tuple[int, ...]


class EmbeddingsRequest(Struct, frozen=True, omit_defaults=True):
    """Texts, or token ids of the model's own vocabulary, of which vectors are wanted: one, or a list of either."""

    model: Annotated[str, Meta(min_length=1)]
    input: str | Annotated[tuple[str | int | Tokens, ...], Meta(min_length=1, max_length=MAX_INPUTS)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None
    user: str | None = None

    @property
    def inputs(self) -> tuple[str | Tokens, ...]:
        """The inputs, each of which gets a vector: a list of numbers is one."""
        if isinstance(self.input, str):
            return (self.input,)
        tokens = tuple(one for one in self.input if isinstance(one, int))
        return (tokens,) if tokens else tuple(one for one in self.input if not isinstance(one, int))


class Embedding(Struct, frozen=True):
    """The vector of one input: numbers, or 32-bit floats in base64, the lowest byte first."""

    embedding: tuple[float, ...] | str
    index: int
    object: Literal["embedding"] = "embedding"


class EmbeddingsUsage(Struct, frozen=True):
    """Tokens of all inputs together, as the engine counts them."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsResponse(Struct, frozen=True):
    """The answer: a vector for each input, in their order."""

    data: tuple[Embedding, ...]
    model: str
    usage: EmbeddingsUsage = EmbeddingsUsage()
    object: Literal["list"] = "list"


class PassedEmbedding(Struct, frozen=True):
    """The vector of one input as it came: millions of numbers need not be made to be passed on."""

    embedding: msgspec.Raw
    index: int
    object: Literal["embedding"] = "embedding"


class PassedEmbeddings(Struct, frozen=True):
    """An answer whose vectors are passed on as they came."""

    data: tuple[PassedEmbedding, ...]
    model: str
    usage: EmbeddingsUsage = EmbeddingsUsage()
    object: Literal["list"] = "list"


_DECODER = msgspec.json.Decoder(EmbeddingsRequest)
_ANSWER_DECODER = msgspec.json.Decoder(PassedEmbeddings)
_VECTOR = re.compile(rb'\[[0-9eE+\-., ]*\]|"[A-Za-z0-9+/]*={0,2}"')
"""Numbers, or base64: nothing that says anything."""
_ENCODER = msgspec.json.Encoder()


def decode_embeddings_request(body: bytes) -> EmbeddingsRequest:
    """Read a request; raises ApiError (400) that says which field is wrong and how."""
    request = decode_with(_DECODER, body)
    kinds = {type(one) for one in ([request.input] if isinstance(request.input, str) else request.input)}
    if len(kinds) > 1:
        raise invalid_request("input: give texts, or tokens, or lists of tokens, not a mixture.", "input")
    for place, one in enumerate(request.inputs):
        if not one:
            raise invalid_request(f"input[{place}]: it is empty.", f"input[{place}]")
    return request


def decode_embeddings_response(body: bytes) -> PassedEmbeddings:
    """Read an answer; raises ApiError (`engine_failed`) for one of another shape."""
    try:
        answer = _ANSWER_DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise engine_failed("The engine's answer is of unknown shape.") from error
    if not all(_VECTOR.fullmatch(one.embedding) for one in answer.data):
        raise engine_failed("The engine's answer is of unknown shape.")
    return answer


def encode_embeddings(message: EmbeddingsRequest | EmbeddingsResponse | PassedEmbeddings) -> bytes:
    """A request's or an answer's JSON."""
    return _ENCODER.encode(message)


def encoded_vector(vector: tuple[float, ...], encoding_format: str | None) -> tuple[float, ...] | str:
    """A vector in the form that was asked for: numbers unless it is base64."""
    if encoding_format != "base64":
        return vector
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def decoded_vector(embedding: tuple[float, ...] | str) -> tuple[float, ...]:
    """The numbers of a vector in either form; raises ValueError."""
    if isinstance(embedding, tuple):
        return embedding
    numbers = array.array("f")
    numbers.frombytes(base64.b64decode(embedding, validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)
