from __future__ import annotations

import pytest

from llmops_sidecars.contract import ContractError, OnError, Pattern, PatternsRule, PiiRule, Policy, StreamWindow
from llmops_sidecars.guard.policy import compile_policy

REFUSED = {
    "back-reference": r"(a)\1",
    "look-ahead": r"a(?=b)",
    "open bracket": r"[a",
    "too large": r"((a{1000}){1000}){1000}",
}


@pytest.mark.parametrize("expression", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_pattern_that_re2_refuses_is_named(expression: str, direction: str) -> None:
    rule = PatternsRule((Pattern("fine", "ok"), Pattern("broken", expression)))
    with pytest.raises(ContractError, match=r"policy 'strict', pattern 'broken': RE2 refuses it: "):
        compile_policy(Policy(name="strict", **{direction: (rule,)}))  # type: ignore[arg-type]


def test_both_directions_keep_their_rules() -> None:
    policy = Policy(version="v1", on_error=OnError.OPEN, input=(PiiRule(),), stream=StreamWindow(32, 1.0))
    compiled = compile_policy(policy)
    assert (len(compiled.input.find), len(compiled.output.find)) == (1, 0)
    assert (compiled.version, compiled.input.on_error, compiled.stream) == ("v1", OnError.OPEN, StreamWindow(32, 1.0))
