"""`/v1/prompts` and `/v1/prompts/{id}/render`: which templates there are, and what one comes to. No engine is asked."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from llmops_sidecars.guard.pipeline import Incoming
from llmops_sidecars.guard.preparation import admitted
from llmops_sidecars.guard.prompt import filled, find_template, message
from llmops_sidecars.guard.rules import prompt_leak
from llmops_sidecars.guard.serving import Served
from llmops_sidecars.openai.chat import PromptReference
from llmops_sidecars.openai.errors import prompt_hidden, prompt_not_found
from llmops_sidecars.openai.prompts import RenderedPrompt, decode_render_request, prompt_list
from llmops_sidecars.proxy.asgi import JSON

OK = 200


class PromptWork:
    """The work of both."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    async def all(self, incoming: Incoming) -> None:
        """Tell the templates of the caller's configuration; raises ApiError."""
        await self._answer(incoming, msgspec.json.encode(prompt_list(admitted(incoming, None).templates)))

    async def rendered(self, name: str, incoming: Incoming) -> None:
        """Fill a template; raises ApiError."""
        served, request, record = admitted(incoming, None), decode_render_request(incoming.body), incoming.record
        if name not in served.versions:
            raise prompt_not_found(sorted(served.templates))
        if _keeps_instructions(served):
            raise prompt_hidden()
        template = find_template(PromptReference(name, request.variables, request.version), served)
        record.prompt = f"{template.id}@{template.version}"
        messages = tuple(map(message, filled(template, request.variables or {}, served, record)))
        await self._answer(incoming, msgspec.json.encode(RenderedPrompt(template.id, template.version, messages)))

    async def _answer(self, incoming: Incoming, body: bytes) -> None:
        record = incoming.record
        record.status, record.ended = OK, True
        await incoming.sender.whole(OK, body, (JSON, *record.headers(self._clock())))


def _keeps_instructions(served: Served) -> bool:
    """Whether the policy takes care that no answer tells them: then nothing else does."""
    return any(check.rule == prompt_leak.RULE for check in served.policy.output.checks)
