from __future__ import annotations

from typing import Any

import pytest
from cpu_llm.faults import NAMES, EngineFrozenError, FaultRefusedError, Faults, ModelCrashedError, with_requested

NONE = Faults()


@pytest.mark.parametrize(
    ("faults", "generated", "seconds", "held"),
    [
        pytest.param(NONE, 0, 0.0, False, id="none"),
        pytest.param(Faults(first_token_delay_ms=500), 0, 0.4, True, id="before the first word"),
        pytest.param(Faults(first_token_delay_ms=500), 0, 0.5, False, id="delay is over"),
        pytest.param(Faults(first_token_delay_ms=500), 1, 0.1, False, id="only before the first word"),
        pytest.param(Faults(hang_after_tokens=2), 1, 0.0, False, id="does not hang yet"),
        pytest.param(Faults(hang_after_tokens=2), 2, 9.0, True, id="hangs"),
        pytest.param(Faults(hang_after_tokens=0), 0, 0.0, True, id="hangs from the start"),
    ],
)
def test_a_request_is_held(faults: Faults, generated: int, seconds: float, held: bool) -> None:  # noqa: FBT001 - a column
    assert faults.holds(generated, seconds) is held


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        (Faults(crash_after_tokens=1), ModelCrashedError),
        (Faults(freeze_after_tokens=1), EngineFrozenError),
        (Faults(crash_after_tokens=1, freeze_after_tokens=1, hang_after_tokens=1), ModelCrashedError),
    ],
    ids=["crash", "freeze", "the worst first"],
)
def test_the_engine_is_hit(faults: Faults, error: type[Exception]) -> None:
    assert faults.holds(0, 0.0) is False
    with pytest.raises(error):
        faults.holds(1, 0.0)


def test_a_request_fails_after_its_words() -> None:
    assert [Faults(error_after_tokens=2).fails(generated) for generated in range(4)] == [False, False, True, True]


def test_a_request_changes_only_what_it_names() -> None:
    configured = Faults(first_token_delay_ms=7, error_after_tokens=9)
    asked = with_requested(configured, {"fault_error_after_tokens": 1, "tenant": "a"}, allowed=True)
    assert asked == Faults(first_token_delay_ms=7, error_after_tokens=1)


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_can_be_asked_for(name: str) -> None:
    assert getattr(with_requested(NONE, {f"fault_{name}": 3}, allowed=True), name) == 3


@pytest.mark.parametrize(
    ("parameters", "allowed", "message"),
    [
        pytest.param({"fault_hang_after_tokens": 1}, False, "allow_in_requests", id="switched off"),
        pytest.param({"fault_load_delay_ms": 1}, True, "no fault 'load_delay_ms'", id="unknown"),
        pytest.param({"fault_hang_after_tokens": -1}, True, "at least 0, not -1", id="negative"),
        pytest.param({"fault_hang_after_tokens": "1"}, True, "whole number", id="text"),
        pytest.param({"fault_hang_after_tokens": True}, True, "whole number", id="truth"),
    ],
)
def test_a_fault_is_refused(parameters: dict[str, Any], allowed: bool, message: str) -> None:  # noqa: FBT001 - a column
    with pytest.raises(FaultRefusedError, match=message):
        with_requested(NONE, parameters, allowed=allowed)


def test_other_parameters_are_welcome_where_faults_are_not() -> None:
    assert with_requested(NONE, {"tenant": "a", "trace": 1}, allowed=False) == NONE
