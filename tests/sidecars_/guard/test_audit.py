"""Consent, and what auditors read: real lines against the documented form."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec import UNSET

from llmops_sidecars.contract import (
    Access,
    Action,
    Audit,
    AuditText,
    Consent,
    HarmRule,
    Jwt,
    LanguageRule,
    Pattern,
    PatternsRule,
    PiiRule,
    Policy,
    Rule,
    SecretsRule,
    WebhookRule,
)
from llmops_sidecars.guard.consent import agreed
from llmops_sidecars.openai.errors import engine_failed
from llmops_sidecars.proxy.logs import JsonFormatter
from tests.sidecars_.guard.hooks import hooked, serving_judge
from tests.sidecars_.guard.kit import (
    MAIL,
    SECRET,
    SUPPORT,
    WRITER,
    FakeCache,
    Guard,
    contract,
    guarded,
    question,
    said,
    with_broken_rules,
)
from tests.sidecars_.guard.test_unmask import Echo
from tests.support.issuer import Issuer

PAGE = (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
FORM = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])

RULES = (PiiRule(), SecretsRule(), PatternsRule((Pattern("project", "Project X", Action.REPORT),)))
ASKED = Policy("strict", "v9", input=RULES, output=RULES, audit=Audit())
MASKED = Policy("strict", "v9", input=RULES, output=RULES, audit=Audit(text=AuditText.MASKED))


class Lines(logging.Handler):
    """The lines of a guard, as its container writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The audit records, which keep to the documented form."""
        found = [line for line in map(json.loads, self.lines) if line["logger"] == "llmops.audit"]
        for line in found:
            jsonschema.validate(line, FORM, cls=jsonschema.Draft202012Validator)
        return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


def audited(directory: Path, policy: Policy = ASKED, *answer: str) -> Guard:
    return guarded(directory, FakeCache(said(*(answer or ("ok",)))), contract(policy=policy, templates=(SUPPORT,)))


async def test_a_record_says_who_when_and_what_was_found_by_which_policy(tmp_path: Path, lines: Lines) -> None:
    guard = audited(tmp_path, ASKED, "Ask ", MAIL)
    await guard.ask(question(f"Project X, {MAIL}"), x_request_id="r-1", authorization="Bearer abc")
    (line,) = lines.audit
    tenant = line.pop("tenant")
    assert tenant not in ("anonymous", "Bearer abc")
    assert line | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "llmops.audit",
        "message": "verdict",
        "schema": 1,
        "request_id": "r-1",
        "path": "/v1/chat/completions",
        "revision": "r1",
        "prompt": "",
        "policy": {"name": "strict", "version": "v9"},
        "rules": {"input": ["pii", "secrets", "patterns"], "output": ["pii", "secrets", "patterns"]},
        "checked": {"input": len(f"Project X, {MAIL}"), "output": len(f"Ask {MAIL}")},
        "consent": None,
        "status": 200,
        "outcome": "ok",
        "verdicts": [
            {"rule": "patterns", "kind": "project", "direction": "input", "action": "Report", "count": 1},
            {"rule": "pii", "kind": "Email", "direction": "input", "action": "Mask", "count": 1},
            {"rule": "pii", "kind": "Email", "direction": "output", "action": "Mask", "count": 1},
        ],
        "errors": [],
    }


@pytest.mark.parametrize(
    ("text", "answer", "stream", "outcome"),
    [
        ("Hi", ["Hello"], False, "ok"),
        ("Hi", ["Hello"], True, "ok"),
        (f"It is {SECRET}", ["Hello"], True, "content_blocked"),
        ("Hi", [f"It is {SECRET} and more"], False, "answer_blocked"),
        ("Hi", [f"It is {SECRET} and more"], True, "answer_blocked"),
    ],
)
async def test_each_request_leaves_one_record_whatever_became_of_it(
    tmp_path: Path,
    lines: Lines,
    text: str,
    answer: list[str],
    stream: bool,  # noqa: FBT001 - a column
    outcome: str,
) -> None:
    await audited(tmp_path, ASKED, *answer).ask(question(text, stream=stream))
    (line,) = lines.audit
    assert line["outcome"] == outcome
    assert SECRET not in "".join(lines.lines)


async def test_an_engine_that_fails_and_a_rule_that_cannot_run_are_told(tmp_path: Path, lines: Lines) -> None:
    cache = FakeCache(status=502, script=[engine_failed().encode()])
    await guarded(tmp_path, cache, contract(policy=ASKED)).ask()
    await guarded(tmp_path, FakeCache(), contract(policy=ASKED), make=with_broken_rules).ask()
    failed, unable = lines.audit
    assert (failed["status"], failed["outcome"]) == (502, "engine_failed")
    assert (unable["status"], unable["outcome"]) == (503, "guard_unavailable")
    assert unable["errors"] == [{"rule": "broken", "direction": "input", "count": 1}]


@pytest.mark.parametrize("audit", [None, Audit(verdicts=False)])
async def test_nothing_is_written_where_nobody_wants_it(tmp_path: Path, lines: Lines, audit: Audit | None) -> None:
    await audited(tmp_path, replace_audit(audit)).ask()
    assert lines.audit == []
    assert [json.loads(line)["logger"] for line in lines.lines][1:] == ["llmops.access"]


def replace_audit(audit: Audit | None) -> Policy:
    return Policy("strict", "v9", input=RULES, audit=UNSET if audit is None else audit)


@pytest.mark.parametrize("stream", [True, False])
async def test_texts_are_there_only_masked(tmp_path: Path, lines: Lines, *, stream: bool) -> None:
    guard = audited(tmp_path, MASKED, "Write", f" to {MAIL}", " about Project", " X.")
    await guard.ask(question(f"Is {MAIL} in Project X?", stream=stream))
    (line,) = lines.audit
    assert line["text"] == {
        "input": ["Is [EMAIL] in [PATTERN:project]?"],
        "output": ["Write to [EMAIL] about [PATTERN:project]."],
    }


async def test_what_blocked_a_request_is_masked_too(tmp_path: Path, lines: Lines) -> None:
    await audited(tmp_path, MASKED).ask(question(f"The key {SECRET} of {MAIL} is good."))
    (line,) = lines.audit
    assert line["text"] == {"input": ["The key [SECRET] of [EMAIL] is good."], "output": []}


async def test_the_texts_of_a_template_are_the_rendered_ones(tmp_path: Path, lines: Lines) -> None:
    body = {"model": "chat", "messages": [], "prompt": {"id": "support", "variables": {"question": f"I am {MAIL}"}}}
    await audited(tmp_path, MASKED).ask(body)
    (line,) = lines.audit
    assert line["prompt"] == "support@t1"
    assert line["text"]["input"] == ["You help customers of Acme.", "I am [EMAIL]"]


async def test_a_rule_on_whole_texts_leaves_a_record_something_to_read(tmp_path: Path, lines: Lines) -> None:
    rules = (LanguageRule(("en",), action=Action.REPORT), PiiRule())
    policy = Policy("p", "v", output=rules, audit=Audit(text=AuditText.MASKED))
    text = f"Das ist ein ganz gewöhnlicher deutscher Satz, den niemand verboten hat, für {MAIL} und alle anderen."
    await audited(tmp_path, policy, text).ask()
    (line,) = lines.audit
    assert line["text"]["output"] == [text.replace(MAIL, "[EMAIL]")]
    assert {"rule": "language", "kind": "de", "direction": "output", "action": "Report", "count": 1} in line["verdicts"]


async def test_a_text_that_could_not_be_checked_is_not_there(tmp_path: Path, lines: Lines) -> None:
    guard = guarded(tmp_path, FakeCache(said("x")), contract(policy=MASKED), make=with_broken_rules)
    await guard.ask(question("some words"))
    (line,) = lines.audit
    assert line["text"] == {"input": [None], "output": []}


async def test_texts_are_bounded(tmp_path: Path, lines: Lines) -> None:
    guard = audited(tmp_path, MASKED, *["word " * 1000] * 8)
    await guard.ask(question() | {"messages": [{"role": "user", "content": "x " * 4500}] * 80})
    (line,) = lines.audit
    assert len(line["text"]["input"]) == 64
    assert {len(text) for text in (*line["text"]["input"], *line["text"]["output"])} == {8192}
    assert line["text"]["output"][0].endswith("\u2026")


@pytest.mark.parametrize("output", [(), (PiiRule(),)], ids=["no rules for answers", "rules for answers"])
@pytest.mark.parametrize("stream", [True, False])
async def test_values_that_come_back_to_the_client_do_not_come_to_auditors(
    tmp_path: Path, lines: Lines, output: tuple[Rule, ...], *, stream: bool
) -> None:
    """What was masked by a placeholder is a placeholder in the answer, too, before it becomes the value again."""
    rules = (PiiRule(unmask=True),)
    policy = Policy("p", "v", input=rules, output=output, audit=Audit(text=AuditText.MASKED))
    answer = await guarded(tmp_path, Echo(size=3), contract(policy=policy)).ask(question(f"I am {MAIL}", stream=stream))
    text = answer.text if stream else answer.json["choices"][0]["message"]["content"]
    assert text == f"I am {MAIL}"
    (line,) = lines.audit
    assert line["text"]["input"] == ["I am [EMAIL]"]
    assert re.fullmatch(r"I am \[EMAIL_\w+\]", line["text"]["output"][0])
    assert MAIL not in "".join(lines.lines)


ENDPOINTS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "/v1/chat/completions": (question(f"I am {MAIL}", n=1), ["I am [EMAIL]"], ["Ask [EMAIL]."]),
    "/v1/completions": ({"prompt": [f"I am {MAIL}", "And?"]}, ["I am [EMAIL]", "And?"], ["Ask [EMAIL]."] * 2),
    "/v1/responses": ({"input": f"I am {MAIL}"}, ["I am [EMAIL]"], ["Ask [EMAIL]."]),
    "/v1/embeddings": ({"input": [f"I am {MAIL}", "And?"]}, ["I am [EMAIL]", "And?"], []),
}


@pytest.mark.parametrize(("path", "body", "said_", "answered"), [(path, *one) for path, one in ENDPOINTS.items()])
async def test_each_endpoint_wants_consent_and_leaves_records(
    tmp_path: Path, lines: Lines, path: str, body: dict[str, Any], said_: list[str], answered: list[str]
) -> None:
    policy = Policy("p", "v", input=RULES, output=RULES, consent=CONSENT, audit=Audit(text=AuditText.MASKED))
    cache = FakeCache(said(f"Ask {MAIL}.") if path != "/v1/embeddings" else ())
    guard = guarded(tmp_path, cache, contract(policy=policy))
    refused = await guard.ask({"model": "chat"} | body, path)
    assert (refused.status, refused.error["code"], cache.requests) == (403, "consent_required", [])
    assert (await guard.ask({"model": "chat"} | body, path, x_user_consent="true")).status == 200
    without, with_ = lines.audit
    assert (without["path"], without["consent"], without["outcome"]) == (path, False, "consent_required")
    assert without["text"] == {"input": [], "output": []}
    assert (with_["path"], with_["consent"], with_["outcome"]) == (path, True, "ok")
    assert with_["text"] == {"input": said_, "output": answered}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "body"), [(path, body) for path, (body, *_) in ENDPOINTS.items()])
async def test_what_was_looked_at_is_counted_on_every_endpoint(
    tmp_path: Path, lines: Lines, path: str, body: dict[str, Any], *, stream: bool
) -> None:
    generates, answer = path != "/v1/embeddings", f"Ask {MAIL}, {'on and ' * 100}off."
    guard = audited(tmp_path, ASKED, *answer) if generates else guarded(tmp_path, FakeCache(), contract(policy=ASKED))
    prompts = body.get("prompt") or body.get("input") or [f"I am {MAIL}"]
    texts = [prompts] if isinstance(prompts, str) else prompts
    assert (await guard.ask({"model": "chat", **({"stream": stream} if generates else {})} | body, path)).status == 200
    (line,) = lines.audit
    answers = len(texts) if path == "/v1/completions" else int(generates)
    assert line["checked"] == {"input": sum(map(len, texts)), "output": answers * len(answer)}


PASSING = PatternsRule((Pattern("nothing", "nowhere to be found"),))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("policy", "first", "answer", "checked"),
    [
        (Policy("p", "v", audit=Audit()), "Hi", "Hello", (0, 0)),
        (Policy("p", "v", input=(PASSING,), audit=Audit()), "Hi", "Hello", (6, 0)),
        (Policy("p", "v", output=(PASSING,), audit=Audit()), "Hi", "Hello", (0, 5)),
        (Policy("p", "v", input=RULES, output=RULES, audit=Audit()), f"Key {SECRET}", "Hello", (24, 0)),
    ],
    ids=["no rules", "of prompts", "of answers", "blocked at the first text"],
)
async def test_what_nothing_looked_at_is_not_counted(
    tmp_path: Path, lines: Lines, policy: Policy, first: str, answer: str, checked: tuple[int, int], *, stream: bool
) -> None:
    messages = [{"role": "user", "content": first}, {"role": "user", "content": "More"}]
    await audited(tmp_path, policy, answer).ask({"model": "chat", "messages": messages, "stream": stream})
    (line,) = lines.audit
    assert tuple(line["checked"].values()) == checked


async def test_texts_that_a_rule_could_not_look_at_are_not_counted(tmp_path: Path, lines: Lines) -> None:
    await guarded(tmp_path, FakeCache(said("Hi")), contract(policy=ASKED), make=with_broken_rules).ask()
    assert lines.audit[0]["checked"] == {"input": 0, "output": 0}


async def test_what_a_service_blocks_is_not_in_the_record_of_the_answer(tmp_path: Path, lines: Lines) -> None:
    async with serving_judge() as (service, url):
        service.answer, rule = {"action": "Block"}, WebhookRule(url)
        guard = hooked(tmp_path, FakeCache(said("secret words")), rule, direction="output", audit=MASKED.audit)
        await guard.ask(question(stream=True))
    assert service.questions[0]["texts"] == ["secret words"]
    (line,) = lines.audit
    assert line["text"]["output"] == []
    assert [one["rule"] for one in line["verdicts"]] == ["webhook"]


@pytest.mark.parametrize(("claims", "status"), [({"ai": True}, 200), ({"ai": "no"}, 403), ({}, 403)])
async def test_a_claim_of_a_checked_token_is_consent(
    tmp_path: Path, lines: Lines, claims: dict[str, Any], status: int
) -> None:
    policy = Policy("p", "v", consent=Consent(claim="ai"), audit=Audit())
    async with Issuer(tmp_path).serving() as issuer:
        access = Access(jwt=Jwt(issuer.url, ("chat",), ca_file=str(issuer.ca_file)))
        guard = guarded(tmp_path, FakeCache(said("ok")), contract(policy=policy, access=access))
        assert guard.app.access.issuer is not None
        await guard.app.access.issuer.look()
        answer = await guard.ask(authorization=f"Bearer {issuer.token(**claims)}")
    assert answer.status == status
    (line,) = lines.audit
    assert (line["consent"], line["tenant"]) == (status == 200, "team-a")


CONSENT = Consent(header="X-User-Consent")


@pytest.mark.parametrize("value", ["true", "TRUE", " yes ", "1", "granted"])
async def test_who_agrees_is_served(tmp_path: Path, lines: Lines, value: str) -> None:
    guard = audited(tmp_path, Policy("p", "v", consent=CONSENT, audit=Audit()))
    assert (await guard.ask(x_user_consent=value)).status == 200
    assert lines.audit[0]["consent"] is True


@pytest.mark.parametrize(
    "headers", [{}, {"x_user_consent": "false"}, {"x_user_consent": ""}, {"x_user_consent": "truely"}]
)
async def test_who_does_not_agree_is_refused_unread(tmp_path: Path, lines: Lines, headers: dict[str, str]) -> None:
    cache = FakeCache(said("x"))
    guard = guarded(tmp_path, cache, contract(policy=Policy("p", "v", input=RULES, consent=CONSENT, audit=Audit())))
    answer = await guard.ask(question(SECRET), **headers)
    assert (answer.status, answer.error["code"]) == (403, "consent_required")
    assert "send the header X-User-Consent: true" in answer.error["message"]
    assert cache.requests == []
    (line,) = lines.audit
    assert (line["consent"], line["outcome"], line["verdicts"]) == (False, "consent_required", [])
    assert await guard.metric('llmops_requests_total{outcome="consent_required",revision="r1"}') == 1


async def test_consent_that_is_not_required_is_only_recorded(tmp_path: Path, lines: Lines) -> None:
    guard = audited(tmp_path, Policy("p", "v", consent=Consent(header="x-user-consent", required=False), audit=Audit()))
    assert (await guard.ask()).status == 200
    assert lines.audit[0]["consent"] is False


async def test_a_claim_needs_a_token(tmp_path: Path) -> None:
    guard = audited(tmp_path, Policy("p", "v", consent=Consent(claim="ai_consent")))
    answer = await guard.ask(ai_consent="true", authorization="Bearer eyJhbGciOiJub25lIn0.eyJhaV9jb25zZW50Ijp0cnVlfQ.")
    assert (answer.status, answer.error["code"]) == (403, "consent_required")
    assert "claim 'ai_consent' is true" in answer.error["message"]


@pytest.mark.parametrize(
    ("claims", "agrees"),
    [
        ({"ai": True}, True),
        ({"ai": "yes"}, True),
        ({"ai": 1}, True),
        ({"ai": False}, False),
        ({"ai": None}, False),
        ({"ai": []}, False),
        ({"ai": {"x": True}}, False),
        ({"other": True}, False),
        ({}, False),
    ],
)
def test_claims_of_a_token_say_yes_or_not(claims: dict[str, Any], agrees: bool) -> None:  # noqa: FBT001 - a column
    assert agreed(Consent(claim="ai"), {"headers": []}, claims) is agrees


PLANTED = "Zanzibar-Quokka-7319"


async def test_a_planted_secret_is_in_no_line_and_no_metric(tmp_path: Path, lines: Lines) -> None:
    """Whatever happens to it: passed, masked, reported, blocked, on the way in and out, and while rules fail."""
    rules: list[tuple[Rule, ...]] = [
        (),
        (PatternsRule((Pattern("p", PLANTED, Action.MASK),)),),
        (PatternsRule((Pattern("p", PLANTED, Action.REPORT),)),),
        (PatternsRule((Pattern("p", PLANTED),)),),
        (HarmRule(),),
    ]
    guards = [
        audited(tmp_path, Policy("p", "v", input=one, output=other, audit=Audit()), f"It is {PLANTED}", ".")
        for one in rules
        for other in rules
    ]
    guards += [
        guarded(tmp_path, FakeCache([WRITER.role(), RuntimeError(PLANTED)]), contract(policy=ASKED)),
        guarded(tmp_path, FakeCache(said(PLANTED)), contract(policy=ASKED), make=with_broken_rules),
    ]
    for guard in guards:
        for stream in (True, False):
            await guard.ask(question(f"How to kill {PLANTED}?", stream=stream, stop=[PLANTED]), x_note=PLANTED)
        told = "".join([(await guard.admin(path)).body.decode() for path in ("/metrics", "/config")])
        assert PLANTED not in told
    assert lines.lines
    assert PLANTED not in "".join(lines.lines)
