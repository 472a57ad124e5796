"""The checks of one request: its texts through the input rules, with all that rules may know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llmops_sidecars.contract import Template
from llmops_sidecars.guard.policy import CompiledPolicy
from llmops_sidecars.guard.record import Record
from llmops_sidecars.guard.rules.finding import Context, Size
from llmops_sidecars.guard.vault import Vault
from llmops_sidecars.guard.verdict import Findings, RuleError, Verdict, ask, decide, judge, measure
from llmops_sidecars.openai.chat import ChatRequest, message_text
from llmops_sidecars.openai.errors import content_blocked, guard_unavailable

INSTRUCTING = frozenset({"system", "developer"})


class Inspection:
    """One request's; `output` are the rules for its answer, `vault` what was masked in it and comes back."""

    def __init__(self, policy: CompiledPolicy, context: Context, record: Record) -> None:
        """Bind the rules to the request."""
        self._input, self._record = policy.input.bound(context), record
        self.output = policy.output.bound(context)
        self.vault = Vault()
        self._texts: list[str] = []

    def text(self, text: str) -> str:
        """One text of the request, as it may pass; raises ApiError when it must not."""
        try:
            verdict = judge(text, self._input, self.vault)
        except RuleError as error:
            raise self._unable(error) from error
        self._account(verdict)
        if self._input.asking:
            self._texts.append(verdict.text)
        return verdict.text

    def size(self, messages: int, texts: Callable[[], Iterable[str]]) -> None:
        """The whole request, whose texts are put together only for rules that want them; raises ApiError."""
        if not self._input.measuring:
            return
        try:
            findings = measure(Size(messages, tuple(texts())), self._input)
        except RuleError as error:
            raise self._unable(error) from error
        self._conclude(findings)

    async def asked(self) -> None:
        """What others say of the texts that have passed, as they are forwarded; raises ApiError."""
        for text in self._texts:
            try:
                findings = await ask(text, self._input)
            except RuleError as error:
                raise self._unable(error) from error
            self._conclude(findings)

    def _conclude(self, findings: Findings) -> None:
        """Findings of what can only be refused or counted."""
        self._account(decide("", findings))

    def _account(self, verdict: Verdict) -> None:
        self._record.found("input", verdict.counts, verdict.errors)
        if verdict.blocked_by is not None:
            raise content_blocked(verdict.blocked_by)

    def _unable(self, error: RuleError) -> Exception:
        self._record.found("input", {}, (error.rule,))
        return guard_unavailable()


def context_of(request: ChatRequest, template: Template | None) -> Context:
    """What rules may know of a request whose template has been rendered."""
    instructions = tuple(message_text(one) for one in request.messages if one.role in INSTRUCTING)
    written = (one.content for one in template.messages) if template else ()
    return Context(instructions, frozenset(content for content in written if "{{" not in content))
