from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from llmops_sidecars.contract import (
    Action,
    ContractError,
    OnError,
    Pattern,
    PatternsRule,
    PhrasesRule,
    PiiRule,
    Policy,
    Rule,
    StreamWindow,
)
from llmops_sidecars.guard.policy import MAKERS, compile_policy
from tests.sidecars_.guard.kit import MAIL, FakeCache, contract, guarded, question, said

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


async def test_a_guard_without_the_key_for_hashes_says_so_and_serves_when_it_comes(tmp_path: Path) -> None:
    key, cache = tmp_path / "key", FakeCache(said("Noted."))
    policy = Policy("p", "1", input=(PiiRule(action=Action.HASH),), hash_key_file=str(key))
    guard = guarded(tmp_path, cache, contract(policy=policy))
    said_why = (await guard.admin("/config")).json["error"]
    assert said_why == f"policy 'p': the key for hashes cannot be read: No such file or directory: {key}"
    assert (await guard.ask(question(MAIL))).status == 503
    key.write_bytes(b"a key of sixteen")
    guard.file.check()
    assert (await guard.admin("/config")).json["error"] is None
    assert (await guard.ask(question(MAIL))).status == 200
    first = cache.requests[-1]["messages"][0]["content"]
    assert first.startswith("[EMAIL:")
    key.write_bytes(b"another long key")
    guard.file.check()
    await guard.ask(question(MAIL))
    assert cache.requests[-1]["messages"][0]["content"] not in {first, MAIL}


async def test_a_list_of_phrases_stands_beside_the_contract(tmp_path: Path) -> None:
    """The kubelet links a new file a moment after the document that names it."""
    listed = tmp_path / "phrases-1.txt"
    policy = Policy("p", "1", input=(PhrasesRule("animals", file=str(listed)),))
    guard = guarded(tmp_path, FakeCache(said("Yes.")), contract(policy=policy))
    assert "phrases 'animals': the list cannot be read" in str(guard.file.error)
    listed.write_text("zebra\nlion\n", encoding="utf-8")
    guard.file.check()
    answer = await guard.ask(question("A LION is here"))
    assert (answer.status, answer.error["code"]) == (400, "content_blocked")
    assert "animals" in answer.error["message"]
    assert (await guard.ask(question("A cat is here"))).status == 200
