"""A connection of a client: what the server itself has to refuse, it refuses in OpenAI's envelope too."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from llmops_sidecars.openai.errors import ApiError, bad_http_request, too_many_connections
from llmops_sidecars.proxy.asgi import JSON, Receive, Scope, Send, error_headers, send_error

CLOSE = (b"connection", b"close")


class Connection(HttpToolsProtocol):
    """The server's protocol, but for the words of its own errors."""

    def send_400_response(self, _msg: str) -> None:
        """Answer what is no HTTP, unless an answer is under way: into the middle of that nothing can be said."""
        under_way: Any = self.cycle  # None at first, whatever its annotation says
        if under_way is None or under_way.response_complete:
            self.transport.write(_response(bad_http_request()))
        self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        chosen: Any = _overloaded if app is service_unavailable else app
        super()._start_asgi_task(cycle, chosen)


async def _overloaded(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_error(send, too_many_connections(), (CLOSE,))


def _response(error: ApiError) -> bytes:
    body = error.encode()
    headers = (JSON, (b"content-length", str(len(body)).encode()), *error_headers(error), CLOSE)
    lines = (b"HTTP/1.1 400 Bad Request", *(name + b": " + value for name, value in headers), b"", body)
    return b"\r\n".join(lines)
