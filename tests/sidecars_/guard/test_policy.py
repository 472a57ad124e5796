from __future__ import annotations

from typing import get_args

import pytest

from llmops_sidecars.contract import ContractError, OnError, Pattern, PatternsRule, PiiRule, Policy, Rule, StreamWindow
from llmops_sidecars.guard.policy import MAKERS, compile_policy

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
    assert ([check.rule for check in compiled.input.checks], compiled.output.checks) == (["pii"], ())
    assert (compiled.version, compiled.stream) == ("v1", StreamWindow(32, 1.0))


def test_a_rule_may_say_itself_what_happens_when_it_cannot_run() -> None:
    own = PiiRule(on_error=OnError.CLOSED)
    compiled = compile_policy(Policy(on_error=OnError.OPEN, input=(own, PiiRule())))
    assert [check.on_error for check in compiled.input.checks] == [OnError.CLOSED, OnError.OPEN]


def test_every_rule_of_the_contract_has_a_maker() -> None:
    assert set(MAKERS) == set(get_args(Rule))
