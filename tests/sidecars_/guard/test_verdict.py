from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_sidecars.contract import Action, OnError, Pattern, PatternsRule, PiiRule, Policy, SecretsRule
from llmops_sidecars.guard.policy import Rules, compile_policy
from llmops_sidecars.guard.rules.finding import Check, Context, Find, Finding, Size
from llmops_sidecars.guard.verdict import RuleError, Verdict, consult, decide, judge

MAIL = "jane@example.com"
SECRET = "AKIAIOSFODNN7EXAMPLE"


def rules(*chosen: PiiRule | SecretsRule | PatternsRule) -> Rules:
    return compile_policy(Policy(input=chosen)).input


def finding(start: int, end: int, label: str = "[A]", action: Action = Action.MASK) -> Finding:
    return Finding(start, end, "rule", "kind", label, action)


def given_findings(*findings: Finding) -> Rules:
    return Rules((Check("given", lambda _: findings),))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"to {MAIL}, +49 30 1234567!", "to [EMAIL], [PHONE]!"),
        ("card 4111 1111 1111 1111", "card [CREDIT_CARD]"),
        ("DE89 3704 0044 0532 0130 00 from 10.0.0.1", "[IBAN] from [IP_ADDRESS]"),
        (f"🙂é漢 {MAIL} 🙂", "🙂é漢 [EMAIL] 🙂"),
        ("nothing", "nothing"),
        ("", ""),
    ],
    ids=["two", "card", "account and address", "not ascii", "harmless", "empty"],
)
def test_masks_stand_where_the_findings_were(text: str, expected: str) -> None:
    verdict = judge(text, rules(PiiRule()))
    assert (verdict.text, verdict.blocked_by) == (expected, None)


def test_a_block_wins_and_keeps_what_stood_before_masked() -> None:
    verdict = judge(f"{MAIL} has {SECRET} and {MAIL}", rules(PiiRule(), SecretsRule()))
    assert verdict.blocked_by == "secrets"
    assert verdict.text == "[EMAIL] has "
    assert verdict.counts == {("pii", "Email", "Mask"): 2, ("secrets", "aws", "Block"): 1}


def test_a_block_names_the_pattern_and_not_the_text() -> None:
    verdict = judge("Project X", rules(PatternsRule((Pattern("project", r"(?i)project\s+x"),))))
    assert verdict.blocked_by == "project"


def test_all_secrets_have_one_label() -> None:
    assert judge(f"a {SECRET}", rules(SecretsRule(Action.MASK))).text == "a [SECRET]"


def test_a_pattern_has_its_name_for_a_label() -> None:
    assert judge("a zebra", rules(PatternsRule((Pattern("z", "zebra", Action.MASK),)))).text == "a [PATTERN:z]"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((finding(0, 4), finding(2, 8, "[B]")), "[B]89"),
        ((finding(2, 8, "[B]"), finding(0, 4), finding(7, 9)), "[B]9"),
        ((finding(0, 3), finding(3, 6, "[B]")), "[A][B]6789"),
        ((finding(0, 9), finding(2, 4, "[B]")), "[A]9"),
        ((finding(0, 4), finding(0, 4, "[B]")), "[A]456789"),
    ],
    ids=["the longer one names", "a chain is one", "neighbours stay two", "inside", "the same place"],
)
def test_what_overlaps_is_masked_as_one(findings: tuple[Finding, ...], expected: str) -> None:
    assert judge("0123456789", given_findings(*findings)).text == expected


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=8))
def test_nothing_of_any_finding_is_left(places: list[tuple[int, int]]) -> None:
    text = "".join(chr(0x4E00 + index) for index in range(50))
    findings = [finding(start, start + length, "#") for start, length in places]
    verdict = judge(text, given_findings(*findings))
    hidden = {index for start, length in places for index in range(start, start + length)}
    assert verdict.text.replace("#", "") == "".join(text[index] for index in range(50) if index not in hidden)


def test_an_overlap_with_a_block_blocks() -> None:
    verdict = judge("0123456789", given_findings(finding(0, 9), finding(3, 5, "[B]", Action.BLOCK)))
    assert verdict.blocked_by == "rule"
    assert verdict.text == ""


def test_many_findings_take_no_time() -> None:
    text = f"{MAIL} " * 20_000
    assert judge(text, rules(PiiRule())).text == "[EMAIL] " * 20_000


def test_a_verdict_prints_without_its_text() -> None:
    assert MAIL not in repr(Verdict(f"to {MAIL}", None, {}))


def broken(_text: str) -> list[Finding]:
    raise ValueError(MAIL)


def test_a_rule_that_cannot_run_refuses() -> None:
    with pytest.raises(RuleError, match="broken"):
        judge("text", Rules((Check("broken", broken),)))


def test_a_rule_that_cannot_run_is_counted_when_the_policy_is_open(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        verdict = judge(f"to {MAIL}", Rules((Check("broken", broken, on_error=OnError.OPEN), *rules(PiiRule()).checks)))
    assert (verdict.text, verdict.errors) == ("to [EMAIL]", ("broken",))
    assert [record.message for record in caplog.records] == ["a rule could not run"]
    assert MAIL not in caplog.text + repr([vars(record) for record in caplog.records])


def test_what_is_only_reported_changes_nothing_and_is_counted() -> None:
    reported = finding(0, 9, action=Action.REPORT)
    verdict = judge("0123456789", given_findings(reported, finding(2, 4, "[B]"), finding(6, 8, action=Action.REPORT)))
    assert (verdict.text, verdict.blocked_by) == ("01[B]456789", None)
    assert verdict.counts == {("rule", "kind", "Report"): 2, ("rule", "kind", "Mask"): 1}


@pytest.mark.parametrize(
    ("weaker", "stronger"), list(pairwise([Action.GENERALISE, Action.HASH, Action.MASK, Action.BLOCK]))
)
def test_the_stronger_action_of_an_overlap_wins(weaker: Action, stronger: Action) -> None:
    verdict = judge("0123456789", given_findings(finding(0, 9, "[A]", weaker), finding(3, 5, "[B]", stronger)))
    assert verdict.counts == {("rule", "kind", stronger.value): 1}


def test_a_rule_knows_its_request_once_it_is_bound() -> None:
    def bind(context: Context) -> Find:
        return lambda text: [finding(0, len(text))] if text in context.instructions else []

    bound = Rules((Check("leak", bind=bind),)).bound(Context(instructions=("secret words",)))
    assert [judge(text, bound).text for text in ("secret words", "other words")] == ["[A]", "other words"]


def test_rules_are_bound_for_one_request_only() -> None:
    shared = Rules((Check("leak", bind=lambda context: lambda text: [finding(0, len(text))] * len(context.trusted)),))
    shared.bound(Context(trusted=frozenset({"x"})))
    assert judge("text", shared).text == "text"


@pytest.mark.parametrize(
    ("disguised", "expected"),
    [
        (f"to {base64.b64encode(MAIL.encode() + b' is her address').decode()}", "to [EMAIL]"),
        (f"to {base64.urlsafe_b64encode(b'write to ' + MAIL.encode()).decode().rstrip('=')}!", "to [EMAIL]!"),
        (f"to {MAIL.encode().hex()}", "to [EMAIL]"),
        (f"to {''.join(f'%{code:02x}' for code in MAIL.encode())} now", "to [EMAIL] now"),
        ("to jane\u200b@exam\u00adple.com", "to [EMAIL]"),
        ("to j\u0430n\u0435@example.com", "to [EMAIL]"),
        ("to " + "".join(chr(0xE0000 + ord(letter)) for letter in MAIL), "to [EMAIL]"),
    ],
    ids=["base64", "base64 of URLs", "hexadecimal", "percent", "invisible", "look-alikes", "tags"],
)
def test_a_disguise_does_not_help(disguised: str, expected: str) -> None:
    assert judge(disguised, rules(PiiRule())).text == expected


def test_full_width_text_is_masked_in_place() -> None:
    wide = "".join(chr(ord(character) + 0xFEE0) for character in MAIL)
    assert judge(f"an {wide}", rules(PiiRule())).text == "an [EMAIL]"


def test_an_authors_pattern_may_speak_of_what_the_plain_form_has_not() -> None:
    assert judge("a \u2013 b", rules(PatternsRule((Pattern("dash", "\u2013"),)))).blocked_by == "dash"
    assert judge("project\u00a0x", rules(PatternsRule((Pattern("p", "project x"),)))).blocked_by == "p"


def test_a_rule_may_look_at_the_text_itself_alone() -> None:
    seen: list[str] = []

    def find(text: str) -> list[Finding]:
        seen.append(text)
        return []

    judge("full-width \uff21", Rules((Check("seen", find, as_is=True),)))
    assert seen == ["full-width \uff21"]


async def test_a_rule_that_is_late_could_not_run(caplog: pytest.LogCaptureFixture) -> None:
    async def never(_size: Size) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    slow = Check("slow", weigh=never, seconds=0.01)
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuleError, match="slow"):
        await consult(Size(1, ("text",)), Rules((slow,)))
    with caplog.at_level(logging.CRITICAL):
        findings = await consult(Size(1, ("text",)), Rules((replace(slow, on_error=OnError.OPEN),)))
    assert findings.errors == ("slow",)
    ((rule, seconds),) = findings.seconds
    assert rule == "slow"
    assert seconds >= 0.01


def test_a_refusal_for_a_rule_tells_what_was_known_until_then(caplog: pytest.LogCaptureFixture) -> None:
    loose, must = Check("loose", broken, on_error=OnError.OPEN), Check("must", broken)
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuleError, match="must") as caught:
        judge(f"to {MAIL}", Rules((*rules(PiiRule()).checks, loose, must, *rules(SecretsRule()).checks)))
    assert decide("", caught.value.findings).counts == {("pii", "Email", "Mask"): 1}
    assert caught.value.findings.errors == ("loose", "must")


async def test_a_refusal_for_a_rule_that_was_waited_for_tells_the_times(caplog: pytest.LogCaptureFixture) -> None:
    async def says(_size: Size) -> list[Finding]:
        return [finding(0, 0, action=Action.REPORT)]

    async def fails(_size: Size) -> list[Finding]:
        raise ValueError(MAIL)

    checks = (
        Check("first", weigh=says),
        Check("loose", weigh=fails, on_error=OnError.OPEN),
        Check("must", weigh=fails),
        Check("never asked", weigh=says),
    )
    with caplog.at_level(logging.CRITICAL), pytest.raises(RuleError, match="must") as caught:
        await consult(Size(1, ("text",)), Rules(checks))
    known = caught.value.findings
    assert [rule for rule, _ in known.seconds] == ["first", "loose", "must"]
    assert (known.errors, len(known.reported)) == (("loose", "must"), 1)
