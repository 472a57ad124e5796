"""What clients trip over, looked at byte by byte over a real connection."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llmops_sidecars.openai.errors import engine_failed
from tests.sidecars_.api.kit import Item, Service, called, said, service
from tests.support.asgi import events_of

CHAT = "/v1/chat/completions"
SECONDS = 10


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service")) as one:
        yield one


def asked(text: str = "Hello", **fields: Any) -> dict[str, Any]:
    return {"model": "chat", "messages": [{"role": "user", "content": text}], **fields}


def opened(
    running: Service, body: dict[str, Any], path: str = CHAT, **headers: str
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A request under way; the connection is the caller's to close."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"} | named)
    return connection, connection.getresponse()


def events(running: Service, body: dict[str, Any], path: str = CHAT) -> list[Any]:
    connection, response = opened(running, body | {"stream": True}, path)
    try:
        return events_of(response.read())
    finally:
        connection.close()


def test_a_stream_is_no_burst_and_no_proxy_is_told_to_make_one(running: Service) -> None:
    running.engine.does(*said("First of all. " * 10)[:2], 1.0, *said("And then.")[1:])
    connection, response = opened(running, asked(stream=True), accept_encoding="gzip")
    started = time.monotonic()
    assert b"First of all." in response.read1(65536) + response.read1(65536)
    assert time.monotonic() - started < 0.8
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["content-encoding"] is None
    assert response.headers["content-type"].startswith("text/event-stream")
    response.read()
    connection.close()


def test_the_first_chunk_has_the_role_and_the_last_the_reason_before_done(running: Service) -> None:
    running.engine.says("Hello")
    first, *_, last, done = events(running, asked())
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert done == "[DONE]"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_usage_comes_when_it_was_asked_for_in_a_chunk_without_choices(running: Service, *, wanted: bool) -> None:
    running.engine.says("Hello")
    *chunks, _ = events(running, asked(stream_options={"include_usage": wanted}))
    assert [chunk["choices"] == [] for chunk in chunks].count(True) == int(wanted)
    assert ("usage" in chunks[0]) is wanted


def test_every_piece_of_a_call_has_its_index_and_arguments_are_text(running: Service) -> None:
    running.engine.does(*called(("f", '{"a": 1}'), ("f", '{"a": 2}')))
    tools = [{"type": "function", "function": {"name": "f"}}]
    *chunks, _ = events(running, asked(tools=tools))
    pieces = [call for chunk in chunks for one in chunk["choices"] for call in one["delta"].get("tool_calls", ())]
    assert {piece["index"] for piece in pieces} == {0, 1}
    assert all(isinstance(piece["function"]["arguments"], str) for piece in pieces)
    for index in (0, 1):
        head, *rest = [piece for piece in pieces if piece["index"] == index]
        assert (set(head), head["function"]["name"]) == ({"index", "id", "type", "function"}, "f")
        assert all(set(piece) == {"index", "function"} for piece in rest)


@pytest.mark.parametrize("ending", [engine_failed("It broke."), None], ids=["error", "cut"])
@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_after_an_error_there_is_no_done(running: Service, path: str, ending: Item) -> None:
    running.engine.does(*said("Hello there. " * 10)[:2], ending)
    body = asked("Break off.") if path == CHAT else {"model": "chat", "prompt": "Break off."}
    *_, last = events(running, body, path)
    assert last["error"]["code"] == "engine_failed"
    assert set(last["error"]) == {"message", "type", "param", "code"}


def test_every_answer_has_a_request_id_and_the_callers_own_when_it_is_sane(running: Service) -> None:
    running.engine.says("Hello")
    for headers, status in (({"x_request_id": "mine-1"}, 200), ({}, 200), ({"x_request_id": "a b"}, 200)):
        connection, response = opened(running, asked(), **headers)
        assert response.status == status
        told = response.headers["x-request-id"]
        assert told == "mine-1" if "mine-1" in headers.values() else len(told) == 32
        connection.close()
    connection, response = opened(running, {"model": "chat"}, x_request_id="mine-2")
    assert (response.status, response.headers["x-request-id"]) == (400, "mine-2")
    connection.close()


def test_the_stages_of_a_request_are_timed(running: Service) -> None:
    running.engine.does(0.2, *said("Hello"))
    for stream in (True, False):
        connection, response = opened(running, asked("How long?", stream=stream), cache_control="no-store")
        stages = dict(stage.split(";dur=") for stage in response.headers["server-timing"].split(", "))
        assert list(stages) == ["queue", "access", "body", "parse", "render", "guard", "cache", "upstream", "total"]
        assert float(stages["upstream"]) >= 190
        assert float(stages["total"]) >= sum(float(value) for name, value in stages.items() if name != "total") - 1
        assert sum(float(stages[name]) for name in ("body", "parse", "guard")) > 0
        connection.close()


def test_streams_beside_each_other_do_not_mix(running: Service) -> None:
    """Windows, masks and what was found belong to one request only."""

    def script(request: dict[str, Any]) -> list[Item]:
        name = request["messages"][0]["content"]
        words = [f"{name} calls +49 30 ", "123", f"4567 {name} ", f"and {name}@example.com ", f"not {name}. "] * 3
        return [item for event in said(*words) for item in (event, 0.002)]

    running.engine.script = script
    names = [f"caller{number}" for number in range(40)]

    def text_of(name: str) -> str:
        chunks = events(running, asked(name))[:-1]
        return "".join(one["delta"].get("content") or "" for chunk in chunks for one in chunk["choices"])

    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        texts = list(pool.map(text_of, names))
    for name, text in zip(names, texts, strict=True):
        assert text == f"{name} calls [PHONE] {name} and [EMAIL] not {name}. " * 3


def test_a_client_that_leaves_ends_the_generation_within_a_token(running: Service) -> None:
    running.engine.does(*[item for event in said(*["word "] * 200)[:-1] for item in (event, 0.05)])
    before = running.engine.left
    connection, response = opened(running, asked("Talk on.", stream=True))
    assert response.read1(100)
    left = time.monotonic()
    response.close()
    connection.close()
    while running.engine.left == before and time.monotonic() - left < SECONDS:
        time.sleep(0.005)
    assert running.engine.left == before + 1
    assert time.monotonic() - left < 1


def test_no_text_is_in_any_log(running: Service, caplog: pytest.LogCaptureFixture) -> None:
    running.engine.does(*said("The password is xyzzy-answer. " * 5)[:2], engine_failed())
    with caplog.at_level(logging.DEBUG):
        for body in (asked("xyzzy-prompt"), asked("xyzzy-prompt", n=9), {"model": "xyzzy-model", "messages": []}):
            events(running, body) if body.get("model") == "chat" and "n" not in body else opened(running, body)[
                0
            ].close()
    assert "xyzzy" not in caplog.text
    assert not any("xyzzy" in str(vars(record)) for record in caplog.records)
