"""The checks of one request: its texts through the input rules, with all that rules may know of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from llmops_sidecars.contract import Template
from llmops_sidecars.guard.coverage import texts
from llmops_sidecars.guard.policy import CompiledPolicy, Rules
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.rules.finding import INPUT, OUTPUT, Context, Size
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import Findings, RuleError, Verdict, consult, decide, judge, locate, measure
from llmops_sidecars.openai.chat import ChatRequest, message_text
from llmops_sidecars.openai.errors import content_blocked, guard_unavailable

USER = "user"
INSTRUCTING = frozenset({"system", "developer"})


class Inspection:
    """One request's. `input` and `output`: the rules for it and for its answer; `vault`: what comes back in it."""

    def __init__(self, policy: CompiledPolicy, context: Context, record: Record) -> None:
        """Bind the rules to the request."""
        self.input = _bound(policy, policy.input, INPUT, context, record)
        self.output = _bound(policy, policy.output, OUTPUT, context, record)
        self._record = record
        self.vault = Vault()
        self._texts: list[str] = []
        self._messages = 0

    async def locate(self, texts: Callable[[], Iterable[str]]) -> None:
        """What takes long to be found in the texts, before each of them is judged; raises ApiError."""
        if not self.input.locating:
            return
        try:
            self._record.took(await locate(await asyncio.to_thread(texts), self.input))
        except RuleError as error:
            raise self._unable(error) from error

    def text(self, text: str) -> str:
        """One text of the request, as it may pass; raises ApiError when it must not."""
        try:
            verdict = judge(text, self.input, self.vault)
        except RuleError as error:
            raise self._unable(error) from error
        self._account(verdict, len(text) if self.input.checks else 0)
        if self.input.waits:
            self._texts.append(verdict.text)
        return verdict.text

    def size(self, request: ChatRequest) -> None:
        """The whole request, whose texts are put together only for rules that want them; raises ApiError."""
        self._messages = len(request.messages)
        if not self.input.measuring:
            return
        said = tuple(message_text(one) for one in request.messages if one.role == USER)
        try:
            findings = measure(Size(self._messages, tuple(texts(request)), said), self.input)
        except RuleError as error:
            raise self._unable(error) from error
        self._conclude(findings)

    async def asked(self) -> None:
        """What takes long, or others say, of the texts that have passed, as they are forwarded; raises ApiError."""
        if not self.input.waits:
            return
        try:
            self._conclude(await consult(Size(self._messages, tuple(self._texts)), self.input))
        except RuleError as error:
            raise self._unable(error) from error

    def _conclude(self, findings: Findings) -> None:
        """Findings of what can only be refused or counted."""
        self._record.took(findings.seconds)
        self._account(decide("", findings))

    def _account(self, verdict: Verdict, checked: int = 0) -> None:
        self._record.found(INPUT, verdict.counts, verdict.errors, checked)
        if verdict.blocked_by is not None:
            raise content_blocked(verdict.blocked_by)

    def _unable(self, error: RuleError) -> Exception:
        known = decide("", error.findings)
        self._record.found(INPUT, known.counts, known.errors)
        self._record.took(error.findings.seconds)
        return guard_unavailable()


def _bound(policy: CompiledPolicy, rules: Rules, direction: str, context: Context, record: Record) -> Rules:
    """The rules of one direction; what they may know is put together only where one of them wants it."""
    if not rules.binds:
        return rules
    named = policy.name, policy.version
    return rules.bound(
        Context(context.instructions, context.trusted, record.request_id, record.partition, direction, named)
    )


def context_of(request: ChatRequest, template: Template | None) -> Context:
    """What rules may know of a request whose template has been rendered."""
    instructions = tuple(message_text(one) for one in request.messages if one.role in INSTRUCTING)
    written = (one.content for one in template.messages) if template else ()
    return Context(instructions, frozenset(content for content in written if "{{" not in content))
