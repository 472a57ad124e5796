"""A service that a `webhook` rule asks, run in a pod of its own. What it says follows from the id of the request.

`allow…` passes, `refuse-input…` and `refuse-output…` are blocked in that direction, `report…` is reported, `slow…` gets
no answer, `broken…` one that is none. `GET /questions` tells what was asked, how it was signed and by whom.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from pathlib import Path
from typing import Any

from aiohttp import web

SECRETS = Path("/secret")
SLOW_SECONDS = 20

questions: list[dict[str, Any]] = []


async def judge(request: web.Request) -> web.Response:
    """Answer one question."""
    body = await request.read()
    question = await request.json()
    questions.append(question | {"signed": _signed(request, body), "known": _known(request)})
    name = str(question["id"])
    if name.startswith("slow"):
        await asyncio.sleep(SLOW_SECONDS)
    if name.startswith("broken"):
        return web.Response(status=500)
    if name.startswith(f"refuse-{question['direction']}"):
        return web.json_response({"action": "Block", "kind": "self-made"})
    return web.json_response({"action": "Report" if name.startswith("report") else "Pass", "kind": "self-made"})


async def told(_request: web.Request) -> web.Response:
    """All questions so far."""
    return web.json_response(questions)


def _signed(request: web.Request, body: bytes) -> bool:
    """Whether the signature is that of this body, and fresh."""
    fields = dict(part.split("=", 1) for part in request.headers.get("x-llmops-signature", "").split(",") if part)
    expected = hmac.new((SECRETS / "hmac").read_bytes(), f"{fields.get('t')}.".encode() + body, hashlib.sha256)
    fresh = abs(time.time() - int(fields.get("t", "0"))) < 60  # noqa: PLR2004 - seconds, as documented
    return fresh and hmac.compare_digest(expected.hexdigest(), fields.get("v1", ""))


def _known(request: web.Request) -> bool:
    return request.headers.get("authorization") == f"Bearer {(SECRETS / 'token').read_text()}"


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/v1/judge", judge)
    app.router.add_get("/questions", told)
    web.run_app(app, port=8080, print=None)
