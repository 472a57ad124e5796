from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmops_sidecars.openai.errors import ApiError, body_too_large, body_too_slow, engine_unavailable, too_many_requests
from llmops_sidecars.proxy.asgi import (
    ClientDisconnectedError,
    Pace,
    Receiver,
    Scope,
    StreamSender,
    header,
    read_body,
    receiver,
    send_body,
    send_error,
    send_failure,
    send_json,
    until_disconnect,
)
from tests.support.asgi import Sent, events_of, eventually, receiving

DISCONNECT = {"type": "http.disconnect"}


def scope(**headers: str) -> Scope:
    fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http", "headers": fields}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(("name", "value"), [(b"x-a", "1"), (b"x-b", None)], ids=["there", "missing"])
def test_a_header_is_found_by_its_name(name: bytes, value: str | None) -> None:
    assert header(scope(x_a="1"), name) == value


@pytest.mark.parametrize(
    "messages",
    [
        [part(b"12345678")],
        [part(b"1234", more=True), part(b"5678")],
        [part(b"12345678", more=True), {"type": "http.request"}],
    ],
    ids=["at once", "chunked", "end without a body"],
)
async def test_a_body_is_read_however_it_arrives(messages: list[dict[str, Any]]) -> None:
    assert await read_body(scope(), receiving(*messages), limit=8) == b"12345678"


@pytest.mark.parametrize(
    ("headers", "messages", "status"),
    [
        ({"content_length": "9"}, [], 413),
        ({"content_length": "99999999999999999999"}, [], 413),
        ({}, [part(b"123456789")], 413),
        ({}, [part(b"12345", more=True), part(b"6789", more=True)], 413),
        ({"content_length": "2"}, [part(b"123456789")], 413),
        ({"content_length": "-1"}, [], 400),
        ({"content_length": "ten"}, [], 400),
        ({"content_length": "\xb2"}, [], 400),
        ({"content_encoding": "gzip"}, [part(b"x")], 415),
        ({}, [part(b"1", more=True)], 408),
    ],
    ids=[
        "announced too large",
        "announced much too large",
        "too large",
        "too large in pieces, the end not awaited",
        "larger than announced",
        "negative length",
        "length a word",
        "length a strange digit",
        "compressed",
        "never ends",
    ],
)
async def test_a_body_that_cannot_be_taken(
    headers: dict[str, str], messages: list[dict[str, Any]], status: int
) -> None:
    with pytest.raises(ApiError) as caught:
        await read_body(scope(**headers), receiving(*messages), limit=8, pace=Pace(seconds=0.05))
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("received", "allowed"), [(0, 5), (1, 5 + 1 / 1024), (10 * 1024, 15), (25 * 1024, 30), (1 << 20, 30)]
)
def test_a_body_may_take_some_seconds_and_more_for_what_arrives(received: int, allowed: float) -> None:
    assert Pace().allowed(received) == allowed


async def test_a_body_that_arrives_too_slowly_is_not_waited_for() -> None:
    async def dripping() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        sent.append(b"x")
        return part(b"x", more=True)

    sent: list[bytes] = []
    with pytest.raises(ApiError) as caught:
        await read_body(scope(), dripping, limit=1000, pace=Pace(30, first_seconds=0.1, bytes_per_second=1000))
    assert caught.value.status == 408
    assert len(sent) < 30


async def test_identity_is_no_compression() -> None:
    assert await read_body(scope(content_encoding=" Identity "), receiving(part(b"x")), limit=8) == b"x"


async def test_a_client_that_leaves_while_it_sends() -> None:
    with pytest.raises(ClientDisconnectedError):
        await read_body(scope(), receiving(part(b"1", more=True), DISCONNECT), limit=8)


async def test_json_is_sent_with_its_length() -> None:
    sent = Sent()
    await send_json(sent, 201, b"{}", ((b"x-a", b"1"),))
    headers = [(b"content-type", b"application/json"), (b"x-a", b"1"), (b"content-length", b"2")]
    assert sent.messages == [
        {"type": "http.response.start", "status": 201, "headers": headers},
        {"type": "http.response.body", "body": b"{}", "more_body": False},
    ]


async def test_a_body_of_another_type_is_sent() -> None:
    sent = Sent()
    await send_body(sent, 200, b"text", ((b"content-type", b"text/plain"),))
    assert sent.messages[0]["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"4")]


@pytest.mark.parametrize(
    ("error", "extra"),
    [
        (too_many_requests(retry_after=3), [(b"retry-after", b"3")]),
        (body_too_large(9), []),
        (body_too_slow(), [(b"connection", b"close")]),
    ],
    ids=["come back later", "the rest of the body is dropped", "the rest of the body is not waited for"],
)
async def test_an_error_has_its_headers(error: ApiError, extra: list[tuple[bytes, bytes]]) -> None:
    sent = Sent()
    await send_error(sent, error)
    start = sent.messages[0]
    assert (start["status"], sent.body) == (error.status, error.encode())
    assert [field for field in start["headers"] if field[0] not in {b"content-type", b"content-length"}] == extra


async def test_a_failure_is_a_status_before_the_stream_and_an_event_after_its_start() -> None:
    before, after = Sent(), Sent()
    await send_failure(StreamSender(before), engine_unavailable())
    sender = StreamSender(after)
    await sender.start(200, ())
    await sender.write(b"data: 1\n\n")
    await send_failure(sender, engine_unavailable())
    assert before.messages[0]["status"] == 503
    assert [event if event == 1 else event["error"]["code"] for event in events_of(after.body)] == [
        1,
        "engine_unavailable",
    ]
    assert [message.get("more_body") for message in after.messages] == [None, True, False]


async def test_nothing_to_write_writes_nothing() -> None:
    sent = Sent()
    await StreamSender(sent).write(b"")
    assert sent.messages == []


async def test_a_connection_that_breaks_is_a_client_that_left() -> None:
    async def broken(_: Any) -> None:
        raise OSError

    with pytest.raises(ClientDisconnectedError):
        await StreamSender(broken).end(b"x")


async def test_work_gives_its_result_while_the_client_stays() -> None:
    async def work() -> int:
        return 7

    assert await until_disconnect(receiving(), work()) == 7


async def test_work_raises_its_error_while_the_client_stays() -> None:
    async def work() -> None:
        raise engine_unavailable()

    with pytest.raises(ApiError):
        await until_disconnect(receiving(), work())


class Work:
    """Work without an end that notes how it goes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def __call__(self) -> None:
        self.notes.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            self.notes.append("cancelled")


async def test_work_ends_when_the_client_leaves() -> None:
    work = Work()
    with pytest.raises(ClientDisconnectedError):
        await until_disconnect(receiving({"type": "http.request"}, DISCONNECT), work())
    assert work.notes == ["began", "cancelled"]


async def test_work_ends_when_its_caller_is_cancelled() -> None:
    work = Work()
    task = asyncio.create_task(until_disconnect(receiving(), work()))
    await eventually(lambda: work.notes)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.notes == ["began", "cancelled"]


class Known(Receiver):
    """A receiver whose body has come."""

    def __init__(self, body: bytes) -> None:
        super().__init__(receiving(DISCONNECT))
        self._body: bytes | None = body

    def whole(self) -> bytes | None:
        body, self._body = self._body, None
        return body


async def test_a_body_that_has_come_is_not_waited_for() -> None:
    known = Known(b"12345678")
    assert await read_body(scope(), known, limit=8) == b"12345678"
    with pytest.raises(ClientDisconnectedError):
        await read_body(scope(), known, limit=8)


async def test_a_body_that_has_come_is_bounded_too() -> None:
    with pytest.raises(ApiError) as caught:
        await read_body(scope(), Known(b"123456789"), limit=8)
    assert caught.value.status == 413


@pytest.mark.parametrize("before", [True, False], ids=["before the work", "during the work"])
async def test_a_receiver_says_itself_that_the_client_has_left(*, before: bool) -> None:
    client, work = Receiver(receiving()), Work()
    if before:
        client.leave()
    task = asyncio.create_task(until_disconnect(client, work()))
    if not before:
        await eventually(lambda: work.notes)
        client.leave()
    with pytest.raises(ClientDisconnectedError):
        await task
    assert work.notes == ["began", "cancelled"]


async def test_a_client_that_leaves_after_the_work_disturbs_nobody() -> None:
    client = Receiver(receiving())

    async def work() -> int:
        return 7

    assert await until_disconnect(client, work()) == 7
    client.leave()
    await asyncio.sleep(0)


async def test_a_receive_of_any_server_becomes_one_that_says_so() -> None:
    told: list[str] = []
    client = receiver(receiving({"type": "http.request"}, DISCONNECT))
    assert receiver(client) is client
    client.when_left(lambda: told.append("left"))
    await eventually(lambda: told)
    client.when_left(None)
    assert told == ["left"]
