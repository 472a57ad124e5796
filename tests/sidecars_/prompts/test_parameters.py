from __future__ import annotations

from typing import Any

import pytest

from llmops_sidecars.contract import AllowedParameter, Parameter, Parameters, Template
from llmops_sidecars.openai.chat import ChatRequest
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.prompts.parameters import with_parameters

DEFAULTS: dict[str, Any] = {
    "temperature": 0.1,
    "top_p": 0.9,
    "max_tokens": 50,
    "stop": ("END",),
    "seed": 7,
    "presence_penalty": -0.5,
    "frequency_penalty": 1.5,
}
OTHERS: dict[str, Any] = {
    "temperature": 0.0,
    "top_p": 0.5,
    "max_tokens": 1,
    "stop": "X",
    "seed": 0,
    "presence_penalty": 0.0,
    "frequency_penalty": -2.0,
}


def template(*allowed: AllowedParameter, **more: Any) -> Template:
    return Template("t", "1", (), (), Parameters(**DEFAULTS, allow=allowed, **more))


def asked(**fields: Any) -> ChatRequest:
    return ChatRequest("m", **fields)


def said(request: ChatRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in DEFAULTS}


def refusal(request: ChatRequest, *allowed: AllowedParameter) -> ApiError:
    with pytest.raises(ApiError) as raised:
        with_parameters(request, template(*allowed))
    assert raised.value.status == 400
    return raised.value


def test_what_a_request_does_not_say_the_template_says() -> None:
    assert said(with_parameters(ChatRequest("m"), template())) == DEFAULTS


def test_what_neither_says_stays_unsaid() -> None:
    assert with_parameters(ChatRequest("m"), Template("t", "1", ())) == ChatRequest("m")


@pytest.mark.parametrize("name", OTHERS)
def test_where_nothing_is_said_of_it_the_request_wins(name: str) -> None:
    open_to_all = Template("t", "1", (), (), Parameters(**DEFAULTS))
    request = asked(**{name: OTHERS[name]})
    assert said(with_parameters(request, open_to_all)) == DEFAULTS | {name: OTHERS[name]}


@pytest.mark.parametrize("name", OTHERS)
def test_the_request_wins_only_where_it_may(name: str) -> None:
    request = asked(**{name: OTHERS[name]})
    assert said(with_parameters(request, template(AllowedParameter(Parameter(name))))) == DEFAULTS | {
        name: OTHERS[name]
    }
    other = Parameter.SEED if name != "seed" else Parameter.STOP
    error = refusal(request, AllowedParameter(other))
    assert (error.code, error.body.param) == ("unsupported_parameter", name)
    assert error.body.message == (f"{name}: prompt 't' does not let callers change it; they may change: {other.value}.")


def test_a_template_that_allows_nothing_says_so() -> None:
    assert refusal(asked(temperature=0.1)).body.message.endswith("they may change: none.")


@pytest.mark.parametrize(
    ("bounds", "temperature", "told"),
    [
        ((0.1, 0.5), 0.1, None),
        ((0.1, 0.5), 0.5, None),
        ((0.1, 0.5), 0.0, "from 0.1 to 0.5"),
        ((0.1, 0.5), 0.6, "from 0.1 to 0.5"),
        ((0.0, 1.0), 1.5, "from 0 to 1"),
        ((0.2, None), 0.1, "at least 0.2"),
        ((None, 0.2), 0.3, "at most 0.2"),
        ((None, 0.0), 0.3, "at most 0"),
    ],
)
def test_a_value_stays_within_its_bounds(
    bounds: tuple[float | None, float | None], temperature: float, told: str | None
) -> None:
    allowed = AllowedParameter(Parameter.TEMPERATURE, *bounds)
    request = asked(temperature=temperature)
    if told is None:
        assert with_parameters(request, template(allowed)).temperature == temperature
        return
    error = refusal(request, allowed)
    assert (error.code, error.body.param) == ("invalid_value", "temperature")
    assert error.body.message == f"temperature: must be {told} with prompt 't'."


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_most_tokens_are_one_parameter(field: str) -> None:
    few = AllowedParameter(Parameter.MAX_TOKENS, maximum=100)
    assert with_parameters(asked(**{field: 100}), template(few)).output_tokens == 100
    assert refusal(asked(**{field: 101}), few).body.param == field
    assert refusal(asked(**{field: 1})).body.param == field
