from __future__ import annotations

import logging

import numpy as np
import pytest
from tritonclient.utils import serialize_byte_tensor

from llmops_sidecars.engine.tensors import Datatype, Input, Signature, Value, first_text
from llmops_sidecars.openai.errors import ApiError

MODEL = Signature("m", {"text_input": 2, "stop_words": 2, "random_seed": 1})


@pytest.mark.parametrize(
    ("one", "fitted"),
    [
        (Input("text_input", Datatype.TEXT, "x"), Input("text_input", Datatype.TEXT, "x")),
        (Input("return_more", Datatype.BOOLEAN, True, extra=True), None),
        (
            Input("seed", Datatype.UNSIGNED, 1, "seed", older="random_seed"),
            Input("random_seed", Datatype.UNSIGNED, 1, "seed", older="random_seed"),
        ),
    ],
    ids=["known", "an extra that it has not", "under its older name"],
)
def test_inputs_are_fitted_to_a_model(one: Input, fitted: Input | None) -> None:
    assert MODEL.fit([one]) == (() if fitted is None else (fitted,))


def test_a_field_that_the_model_has_no_input_for_is_refused() -> None:
    with pytest.raises(ApiError) as caught:
        MODEL.fit([Input("top_p", Datatype.FLOAT, 0.5, "top_p")])
    assert (caught.value.status, caught.value.body.param) == (400, "top_p")


def test_a_model_of_another_kind_is_our_mistake(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ApiError, match="'m' in Triton has no input 'streaming'") as caught:
        MODEL.fit([Input("streaming", Datatype.BOOLEAN, True)])
    assert caught.value.code == "engine_unavailable"
    assert [vars(record)["input"] for record in caplog.records if record.levelno == logging.ERROR] == ["streaming"]


@pytest.mark.parametrize(
    ("one", "shape"),
    [
        (Input("random_seed", Datatype.UNSIGNED, 1), (1,)),
        (Input("text_input", Datatype.TEXT, "x"), (1, 1)),
        (Input("stop_words", Datatype.TEXT, ("a", "b", "c")), (1, 3)),
    ],
)
def test_a_shape_has_the_models_dimensions(one: Input, shape: tuple[int, ...]) -> None:
    assert MODEL.shape(one) == shape


@pytest.mark.parametrize(
    ("datatype", "value", "kind"),
    [
        (Datatype.BOOLEAN, True, np.bool_),
        (Datatype.FLOAT, 0.7, np.float32),
        (Datatype.INTEGER, -5, np.int32),
        (Datatype.UNSIGNED, 2**64 - 1, np.uint64),
    ],
)
def test_numbers_are_written_as_numpy_writes_them(datatype: Datatype, value: Value, kind: type[np.generic]) -> None:
    assert Input("x", datatype, value).raw() == np.array([value], dtype=kind).tobytes()


@pytest.mark.parametrize("value", ["", "grüße 🎈", ("a", "", "bc")])
def test_texts_are_written_as_tritonclient_writes_them(value: Value) -> None:
    texts = value if isinstance(value, tuple) else (str(value),)
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    raw = Input("x", Datatype.TEXT, value).raw()
    assert raw == serialize_byte_tensor(array).item()
    assert first_text(raw) == texts[0]


def test_no_text_is_empty() -> None:
    assert first_text(b"") == ""
