"""The answer on its way back: chunks of the cache in, what may leave out.

Content, refusal and the arguments of each tool call are texts of their own, each with its own window. What is of
another shape (a second choice, for one) is refused: it would pass by the rules.
"""

from __future__ import annotations

import time
from collections import Counter

import msgspec

from llmops_sidecars.guard.policy import CompiledPolicy, Rules
from llmops_sidecars.guard.rules.finding import Size
from llmops_sidecars.guard.vault import Restorer, Vault
from llmops_sidecars.guard.verdict import consult, decide
from llmops_sidecars.guard.window import Release, WholeText, Window
from llmops_sidecars.openai.answers import Chunk, Delta, FunctionDelta, ToolCallDelta, Usage
from llmops_sidecars.openai.errors import engine_failed

CONTENT_FILTER = "content_filter"
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "function_call", CONTENT_FILTER})
"""Of the specification; providers have others, which clients do not know and which could be any text: `stop`."""

Slot = tuple[str, int]
"""Which text of an answer: content, refusal, or the name or arguments of one of the tool calls."""

CONTENT: Slot = ("content", 0)

MOST_CHARACTERS = 4 * 1024 * 1024
"""Of an answer that is put together for a client that does not stream."""

MOST_KEPT = 16 * 1024
"""Characters of the content that are kept for auditors, and what came with the last of them."""

MOST_TEXTS = 256
"""Texts of one answer: more calls than a request may have tools, and their names."""


class GuardedAnswer:
    """One answer. `counts` are findings by rule, kind and action, `errors` rules that could not run.

    `waited`: how long each rule took that had to be waited for.

    `streams`: texts leave through windows, as they come, unless a rule wants to see them whole; otherwise each is
    judged at its end. What the request's `vault` holds becomes its values again as it leaves. `rules`: the policy's for
    answers, bound to this request.
    """

    def __init__(
        self,
        policy: CompiledPolicy,
        *,
        streams: bool,
        rules: Rules | None = None,
        vault: Vault | None = None,
        keeps: bool = False,
    ) -> None:
        """Start empty; `keeps`: remember what of the content has left, as the rules let it."""
        self._rules, self._bounds = policy.output if rules is None else rules, policy.stream
        self._streams, self._vault = streams, vault
        self._windows: dict[Slot, Window | WholeText] = {}
        self._restorers: dict[Slot, Restorer] = {}
        self._characters, self._keeps, self._kept = 0, keeps, ""
        self.created = int(time.time())
        self.blocked_by: str | None = None
        self.finish_reason: str | None = None
        self.usage = Usage()
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.errors: Counter[str] = Counter()
        self.waited: list[tuple[str, float]] = []

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        dues = [window.due for window in self._windows.values() if window.due is not None]
        return min(dues, default=None)

    def push(self, chunk: Chunk, now: float) -> list[Delta]:
        """Take a chunk; raises ApiError for one of unknown shape, RuleError when a rule cannot run."""
        self.created, self.usage = chunk.created or self.created, chunk.tokens or self.usage
        deltas: list[Delta] = []
        for choice in chunk.choices:
            if choice.index != 0:
                raise engine_failed("The model's answer has an event of unknown shape.")
            for slot, text, head in _texts(choice.delta):
                deltas += self._add(slot, text, head, now)
            if choice.finish_reason and self.blocked_by is None:
                self.finish_reason = choice.finish_reason if choice.finish_reason in FINISH_REASONS else "stop"
        return deltas

    def tick(self, now: float) -> list[Delta]:
        """Let what has been held long enough go."""
        return [delta for slot, window in self._windows.items() for delta in self._take(slot, window.push("", now))]

    @property
    def kept(self) -> list[str]:
        """The beginning of the content, for auditors: without the values that came back."""
        return [self._kept] if self._kept else []

    async def flush(self) -> list[Delta]:
        """The answer is whole: what is left, once those have been asked who have to be."""
        releases = [(slot, window.flush()) for slot, window in self._windows.items()]
        if self._rules.waits and self.blocked_by is None:
            releases = await self._asked(releases)
        taken = [delta for slot, release in releases for delta in self._take(slot, release)]
        left = [(slot, restorer.flush()) for slot, restorer in self._restorers.items() if self.blocked_by is None]
        return [*taken, *(_delta(slot, text) for slot, text in left if text)]

    async def _asked(self, releases: list[tuple[Slot, Release]]) -> list[tuple[Slot, Release]]:
        """What may leave of texts that others have seen; nothing, when they say so."""
        if any(release.blocked_by is not None for _, release in releases):
            return releases
        findings = await consult(Size(0, tuple(release.text for _, release in releases)), self._rules)
        self.waited += findings.seconds
        verdict = decide("", findings)
        told = Release("", verdict.blocked_by, verdict.counts, verdict.errors)
        return [(CONTENT, told), *(releases if verdict.blocked_by is None else ())]

    def _add(self, slot: Slot, text: str, head: Delta | None, now: float) -> list[Delta]:
        if self.blocked_by is not None:
            return []
        self._require_room(len(text))
        named = self._named(slot[1]) if slot[0] == "arguments" and not self._rules.waits else []
        return [*([head] if head else []), *named, *self._take(slot, self._window(slot).push(text, now))]

    def _named(self, index: int) -> list[Delta]:
        """The rest of a call's name: its arguments have begun."""
        slot = ("name", index)
        return self._take(slot, self._window(slot).flush())

    def _require_room(self, characters: int) -> None:
        self._characters += characters
        if not self._streams and self._characters > MOST_CHARACTERS:
            raise engine_failed("The model's answer is too long to be sent in one piece; stream it.")

    def _window(self, slot: Slot) -> Window | WholeText:
        if slot not in self._windows:
            if len(self._windows) >= MOST_TEXTS:
                raise engine_failed("The model's answer has too many tool calls.")
            rules = self._rules if slot == CONTENT else self._rules.beside_content
            held = not self._streams or rules.whole
            self._windows[slot] = WholeText(rules) if held else Window(rules, self._bounds)
        return self._windows[slot]

    def _take(self, slot: Slot, release: Release) -> list[Delta]:
        if self.blocked_by is not None:
            return []
        self.counts.update(release.counts)
        self.errors.update(release.errors)
        if release.blocked_by is not None:
            self.blocked_by, self.finish_reason = release.blocked_by, CONTENT_FILTER
        if self._keeps and slot == CONTENT and len(self._kept) < MOST_KEPT:
            self._kept += release.text
        text = self._restored(slot, release.text)
        return [_delta(slot, text)] if text else []

    def _restored(self, slot: Slot, text: str) -> str:
        if self._vault is None or self._vault.empty:
            return text
        if slot not in self._restorers:
            self._restorers[slot] = Restorer(self._vault, _json_text if slot[0] == "arguments" else str)
        return self._restorers[slot].push(text)


def _texts(delta: Delta) -> list[tuple[Slot, str, Delta | None]]:
    """The texts that a delta adds to, each with what has to be sent before it (the head of a tool call)."""
    found: list[tuple[Slot, str, Delta | None]] = []
    if delta.content:
        found.append((CONTENT, delta.content, None))
    if delta.refusal:
        found.append((("refusal", 0), delta.refusal, None))
    for call in delta.tool_calls or ():
        function = call.function or FunctionDelta()
        head = Delta(tool_calls=(ToolCallDelta(call.index, call.id, call.type),)) if call.id or call.type else None
        found.append((("name", call.index), function.name or "", head))
        if function.arguments:
            found.append((("arguments", call.index), function.arguments, None))
    return found


def _json_text(value: str) -> str:
    """A value as it stands inside a JSON string."""
    return msgspec.json.encode(value).decode()[1:-1]


def _delta(slot: Slot, text: str) -> Delta:
    kind, index = slot
    if kind == "content":
        return Delta(content=text)
    if kind == "refusal":
        return Delta(refusal=text)
    function = FunctionDelta(name=text) if kind == "name" else FunctionDelta(arguments=text)
    return Delta(tool_calls=(ToolCallDelta(index, function=function),))
