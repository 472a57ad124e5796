"""Tensors of Triton: values of a request on their way into a model, and what a model says it takes."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from llmops_sidecars.openai.errors import engine_unavailable, unsupported

_log = logging.getLogger(__name__)


class Datatype(StrEnum):
    """Triton's names of the types that the inputs have."""

    TEXT = "BYTES"
    BOOLEAN = "BOOL"
    FLOAT = "FP32"
    INTEGER = "INT32"
    UNSIGNED = "UINT64"


_FORMATS = {Datatype.BOOLEAN: "<?", Datatype.FLOAT: "<f", Datatype.INTEGER: "<i", Datatype.UNSIGNED: "<Q"}
"""Of one element in a message of the gRPC protocol."""

Value = str | bool | int | float | tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """One input tensor; several texts make a tensor of that length, everything else has one element.

    `field` is the request's field that it stands for: a model without this input cannot do it. An `extra` asks for
    more than text: a model that has no such input goes without. `older` is its name in earlier versions of the model.
    """

    name: str
    datatype: Datatype
    value: Value
    field: str | None = None
    extra: bool = False
    older: str | None = None

    @property
    def length(self) -> int:
        """The number of its elements."""
        return len(self.value) if isinstance(self.value, tuple) else 1

    def raw(self) -> bytes:
        """The elements as the gRPC protocol has them: numbers little-endian, texts with their length before them."""
        if self.datatype is not Datatype.TEXT:
            return struct.pack(_FORMATS[self.datatype], self.value)
        texts = self.value if isinstance(self.value, tuple) else (str(self.value),)
        return b"".join(struct.pack("<I", len(data)) + data for data in (text.encode() for text in texts))


@dataclass(frozen=True)
class Signature:
    """What a model in Triton takes, by its metadata: how many dimensions each input has."""

    model: str
    dimensions: Mapping[str, int]

    def shape(self, one: Input) -> tuple[int, ...]:
        """The shape of an input: its elements are in the last dimension, one before it is the batch's."""
        return (1,) * (self.dimensions.get(one.name, 1) - 1) + (one.length,)

    def fit(self, wanted: Iterable[Input]) -> tuple[Input, ...]:
        """The inputs under the names that the model knows.

        Raises ApiError: `unsupported` for what the client wants and the model has no input for, `engine_unavailable`
        when the model is of another kind than the contract says.
        """
        return tuple(found for one in wanted if (found := self._known(one)) is not None)

    def _known(self, one: Input) -> Input | None:
        if one.name in self.dimensions:
            return one
        if one.older is not None and one.older in self.dimensions:
            return replace(one, name=one.older)
        if one.extra:
            return None
        if one.field is not None:
            raise unsupported(one.field, f"{one.field}: setting it for this model")
        _log.error("the model in Triton has another interface", extra={"model": self.model, "input": one.name})
        message = (
            f"The model {self.model!r} in Triton has no input {one.name!r}: the engine's interface is another one."
        )
        raise engine_unavailable(message)


def first_text(raw: bytes) -> str:
    """The first element of a text tensor; "" where there is none."""
    if len(raw) < struct.calcsize("<I"):
        return ""
    (length,) = struct.unpack_from("<I", raw)
    return raw[4 : 4 + length].decode("utf-8", "replace")
