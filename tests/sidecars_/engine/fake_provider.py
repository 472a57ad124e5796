"""An OpenAI-compatible provider over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from llmops_sidecars.proxy.asgi import (
    Receive,
    Scope,
    Send,
    StreamSender,
    header,
    read_body,
    send_json,
    until_disconnect,
)

KEY = "sk-test-1234"
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "x", "model": "gpt-x", "choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


ANSWER = [delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"), USAGE]


VECTORS = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 1, "embedding": [0.0, 1.0]},
        {"object": "embedding", "index": 0, "embedding": [0.5, -0.5]},
    ],
    "model": "gpt-x",
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


class FakeProvider:
    """An OpenAI-compatible server.

    `events` is what it streams, `vectors` what it makes of inputs, `refusal` a status, headers and a body instead;
    `cut` ends connections after the status, `hang` leaves them open.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = ANSWER
        self.vectors: dict[str, Any] = VECTORS
        self.end = b"data: [DONE]\n\n"
        self.refusal: tuple[int, tuple[tuple[bytes, bytes], ...], bytes] | None = None
        self.cut = False
        self.hang = False
        self.left = 0
        self.requests: list[tuple[str, str | None, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1024 * 1024)
        self.requests.append((scope["path"], header(scope, b"authorization"), msgspec.json.decode(body or b"null")))
        if self.cut:
            await StreamSender(send).start(200, ())
            return
        if self.refusal is not None:
            status, headers, content = self.refusal
            await send_json(send, status, content, headers)
        elif scope["path"] == "/v1/models":
            await send_json(send, 200, b'{"object": "list", "data": []}')
        elif scope["path"] == "/v1/embeddings":
            await send_json(send, 200, msgspec.json.encode(self.vectors))
        else:
            await self._watched(receive, StreamSender(send))

    async def _watched(self, receive: Receive, sender: StreamSender) -> None:
        try:
            await until_disconnect(receive, self._stream(sender))
        except Exception:
            self.left += 1
            raise

    async def _stream(self, sender: StreamSender) -> None:
        await sender.start(200, ((b"content-type", b"text/event-stream"),))
        for event in self.events:
            await sender.write(b": keep-alive\r\n\r\ndata: " + msgspec.json.encode(event) + b"\r\n\r\n")
        if self.hang:
            await asyncio.Event().wait()
        await sender.write(self.end)
        await sender.end()
