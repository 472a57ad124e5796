"""Triton's HTTP interface over the wire, as far as tests need it; `test_fake_triton` proves it against the real one.

It answers `Repeat after me: …` with what follows, word by word, and obeys the same `fault_…` parameters.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Receive,
    Scope,
    Send,
    StreamSender,
    read_body,
    send_json,
    until_disconnect,
)
from tests.support.triton_files import REPOSITORY

MODEL = "/v2/models/tensorrt_llm"
PATH = f"{MODEL}/generate_stream"
ECHO = "Repeat after me:"
DATATYPES = {"STRING": "BYTES"}
TENSOR = re.compile(r'name: "(\w+)" data_type: TYPE_(\w+) dims: \[ (-?\d+) \]')
EVENTS = ((b"content-type", b"text/event-stream; charset=utf-8"),)
CUT = "cut_after_tokens"
"""The only fault that the real model has not: the connection ends, as when Triton is killed."""


class FakeTriton:
    """The server's application. `faults` hold for all requests; `requests` and `cancelled` say what came and left."""

    def __init__(self) -> None:
        self.faults: dict[str, int] = {}
        self.requests: list[dict[str, Any]] = []
        self.cancelled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1024 * 1024)
        if scope["path"] == MODEL:
            await send_json(send, 200, msgspec.json.encode(metadata()))
            return
        if scope["path"] != PATH:
            model = scope["path"].split("/")[3]
            await send_json(send, 404, _error(f"Request for unknown model: '{model}' is not found"))
            return
        request = msgspec.json.decode(body)
        self.requests.append(request)
        try:
            await until_disconnect(receive, self._generate(request, StreamSender(send)))
        except ClientDisconnectedError:
            self.cancelled += 1

    async def _generate(self, request: dict[str, Any], sender: StreamSender) -> None:
        asked = {name.removeprefix("fault_"): value for name, value in request.items() if name.startswith("fault_")}
        faults = {**self.faults, **asked}
        for number, event in enumerate(_events(request)):
            if number == faults.get("error_after_tokens"):
                await self._send(sender, {"error": f"injected error after {number} tokens"})
                break
            if number == faults.get("hang_after_tokens"):
                await asyncio.Event().wait()
            if number == faults.get(CUT):
                return
            await self._send(sender, event)
            await asyncio.sleep(faults.get("iteration_ms", 0) / 1000)
        await sender.end()

    async def _send(self, sender: StreamSender, event: dict[str, Any]) -> None:
        if not sender.started:
            await sender.start(400 if "error" in event else 200, EVENTS)
        await sender.write(b"data: " + msgspec.json.encode(event) + b"\n\n")


def metadata() -> dict[str, Any]:
    """What Triton tells of the model, by the model's own configuration."""
    configuration = (REPOSITORY / "tensorrt_llm" / "config.pbtxt").read_text()
    sections = {
        kind: [
            {"name": name, "datatype": DATATYPES.get(datatype, datatype), "shape": [int(dimension)]}
            for section in re.findall(rf"^{kind} \[$(.*?)^\]$", configuration, re.MULTILINE | re.DOTALL)
            for name, datatype, dimension in TENSOR.findall(section)
        ]
        for kind in ("input", "output")
    }
    tensors = {"inputs": sections["input"], "outputs": sections["output"]}
    return {"name": "tensorrt_llm", "versions": ["1"], "platform": "python", **tensors}


def _events(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    words = re.findall(r"\s*(?:\w+|[^\w\s])|\s+", request["text_input"].rpartition(ECHO)[2])
    limit = request.get("sampling_param_max_tokens", 32)
    for count in range(1, min(len(words), limit) + 1):
        yield _event(request, "".join(words[:count]), "length" if count == limit else None)
    if len(words) < limit:
        yield _event(request, "".join(words), "stop")


def _event(request: dict[str, Any], text: str, reason: str | None) -> dict[str, Any]:
    event = {"model_name": "tensorrt_llm", "model_version": "1", "text_output": text}
    if "id" in request:
        event["id"] = request["id"]
    if request.get("return_finish_reason"):
        event["finish_reason"] = str(reason)
    if request.get("return_stop_reason"):
        event["stop_reason"] = "None"
    return event


def _error(text: str) -> bytes:
    return msgspec.json.encode({"error": text})
