from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from llmops_sidecars.contract import Jwt
from llmops_sidecars.guard.access.fetching import MOST_BYTES, fetch_key_set
from llmops_sidecars.guard.access.issuer import (
    MOST_SEEN,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    UNKNOWN_SECONDS,
    Issuer,
)
from llmops_sidecars.guard.access.tokens import LEEWAY_SECONDS, head_of
from llmops_sidecars.openai.errors import ApiError
from llmops_sidecars.proxy.watched import UnusableError
from tests.support.asgi import eventually
from tests.support.issuer import Authority
from tests.support.issuer import Issuer as Server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server(tmp_path).serving() as server:
        yield server


def settings(server: Server, **fields: Any) -> Jwt:
    return Jwt(server.url, ("chat",), ca_file=str(server.ca_file), **fields)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def found(issuer: Issuer, token: str) -> int:
    """200 when there is a key for the token, else the error's status."""
    try:
        await issuer.find(head_of(token))
    except ApiError as error:
        return error.status
    return 200


async def known(issuer: Issuer, token: str) -> bool:
    status = await found(issuer, token)
    assert status in (200, 401)
    return status == 200


async def refused(issuer: Issuer, token: str) -> int:
    with pytest.raises(ApiError) as caught:
        await issuer.authenticate(token)
    return caught.value.status


async def unavailable(issuer: Issuer, token: str) -> bool:
    return await found(issuer, token) == 503


async def test_keys_are_found_through_the_issuers_configuration(server: Server) -> None:
    issuer = Issuer(settings(server))
    assert await unavailable(issuer, server.token())
    await issuer.look()
    assert await known(issuer, server.token())
    assert issuer.error is None


async def test_keys_may_be_named_by_their_own_url(server: Server) -> None:
    server.discovery = {"issuer": "https://elsewhere"}
    issuer = Issuer(settings(server, jwks_url=f"{server.url}/keys"))
    await issuer.look()
    assert await known(issuer, server.token())


async def test_a_rotated_key_is_learned_from_the_first_token_that_names_it(server: Server) -> None:
    clock = Clock()
    issuer = Issuer(settings(server), clock=clock)
    await issuer.look()
    former = server.token()
    server.rotate("two")
    clock.now += UNKNOWN_SECONDS
    assert [await found(issuer, token) for token in (server.token(), former)] == [200, 401]


async def test_many_tokens_of_unknown_keys_make_the_guard_look_once(server: Server) -> None:
    clock = Clock()
    issuer = Issuer(settings(server), clock=clock)
    await issuer.look()
    server.rotate("two")
    clock.now += UNKNOWN_SECONDS
    stray = Server(Path(), key_id="stray").token()
    assert not any(await asyncio.gather(*(known(issuer, stray) for _ in range(50))))
    assert server.asked == 2
    assert not await known(issuer, stray)
    assert server.asked == 2
    assert await known(issuer, server.token()), "what the one look brought"
    clock.now += UNKNOWN_SECONDS
    assert not await known(issuer, stray)
    assert server.asked == 3


async def test_a_genuine_token_is_remembered_until_it_ends_and_all_others_are_checked_each_time(server: Server) -> None:
    issuer = Issuer(settings(server, required_scopes=("chat",)))
    await issuer.look()
    good, poor = server.token(scope="chat", exp=str(int(time.time()) + 3 - LEEWAY_SECONDS)), server.token()
    for _ in range(2):
        assert (await issuer.authenticate(good))[0] == "team-a"
        assert await refused(issuer, poor) == 403
        assert await refused(issuer, f"{good}x") == 401

    async def ended() -> bool:
        try:
            await issuer.authenticate(good)
        except ApiError as error:
            return error.status == 401
        return False

    await eventually(ended)


async def test_a_token_of_a_key_that_was_withdrawn_is_not_remembered(server: Server) -> None:
    clock = Clock()
    issuer = Issuer(settings(server), clock=clock)
    await issuer.look()
    former = server.token()
    await issuer.authenticate(former)
    server.rotate("two")
    await issuer.look()
    assert await refused(issuer, former) == 401
    await issuer.authenticate(server.token())
    clock.now += 3601
    assert await refused(issuer, server.token()) == 503, "the keys are too old to believe in anything"


async def test_however_many_tokens_there_are_memory_is_bounded(server: Server) -> None:
    issuer = Issuer(settings(server))
    await issuer.look()
    for number in range(MOST_SEEN + 5):
        issuer._remember(str(number).encode(), {})
    assert len(issuer._seen) == MOST_SEEN


async def test_the_keys_are_looked_at_again_by_themselves(server: Server) -> None:
    clock = Clock()
    issuer = Issuer(settings(server), clock=clock)
    due = [issuer.due]
    await issuer.look()
    due.append(issuer.due)
    clock.now += REFRESH_SECONDS
    assert [*due, issuer.due] == [True, False, True]


async def test_an_issuer_that_is_down_costs_nothing_until_its_keys_are_too_old(server: Server) -> None:
    clock = Clock()
    issuer = Issuer(settings(server, key_max_age_seconds=3600.0), clock=clock)
    await issuer.look()
    server.respond = web.Response(status=500)
    clock.now += REFRESH_SECONDS
    await issuer.look()
    assert issuer.error == f"{server.url}/keys answers with status 500"
    assert await known(issuer, server.token())
    assert await unavailable(issuer, Server(Path(), key_id="new").token()), "it may be genuine"
    clock.now += RETRY_SECONDS
    assert issuer.due
    clock.now += 3600
    assert await unavailable(issuer, server.token())
    server.respond = None
    await issuer.look()
    assert await known(issuer, server.token())
    assert issuer.error is None


async def test_a_broken_key_set_leaves_the_last_good_one_in_use(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer(settings(server))
    await issuer.look()
    server.respond = web.Response(body=b'{"keys": [{"kty": "oct", "k": "planted-secret"}]}')
    for _ in range(3):
        await issuer.look()
    assert await known(issuer, server.token())
    assert issuer.error == "the key set has no key for RS256, PS256, ES256 or EdDSA"
    assert len([record for record in caplog.records if "cannot be fetched" in record.message]) == 1
    assert "planted-secret" not in str([vars(record) for record in caplog.records])


async def test_a_look_that_takes_too_long_holds_no_request_for_ever(server: Server) -> None:
    clock, gate = Clock(), asyncio.Event()

    async def slow(asked: Jwt) -> Any:
        if issuer.usable:
            await gate.wait()
        return await fetch_key_set(asked)

    issuer = Issuer(settings(server), fetch=slow, clock=clock, patience_seconds=0.02)
    await issuer.look()
    server.rotate("two")
    clock.now += UNKNOWN_SECONDS
    assert not await known(issuer, server.token())
    gate.set()
    await eventually(lambda: server.asked == 2)
    assert await known(issuer, server.token())


@pytest.mark.parametrize(
    ("respond", "says"),
    [
        (web.Response(status=302, headers={"location": "/elsewhere"}), "answers with status 302"),
        (web.Response(status=503), "answers with status 503"),
        (web.Response(body=b" " * (MOST_BYTES + 1)), f"more than {MOST_BYTES} bytes"),
        (web.Response(body=b"\x1f\x8b\x08", headers={"content-encoding": "gzip"}), "not a JSON object"),
        (web.Response(body=b"<html>"), "not a JSON object"),
    ],
    ids=["redirect", "down", "huge", "compressed", "a page"],
)
async def test_what_is_no_key_set_is_refused(server: Server, respond: web.Response, says: str) -> None:
    server.respond = respond
    with pytest.raises(UnusableError, match=says):
        await fetch_key_set(settings(server))


@pytest.mark.parametrize(
    ("discovery", "says"),
    [
        ({"issuer": "https://evil.example", "jwks_uri": "https://localhost/keys"}, "of another issuer"),
        ({"jwks_uri": "https://169.254.169.254/latest"}, "not on the issuer's host"),
        ({"jwks_uri": "http://localhost/keys"}, "not on the issuer's host"),
        ({"jwks_uri": "https://localhost:1/keys"}, "not on the issuer's host"),
        ({"jwks_uri": "https://localhost@evil.example/keys"}, "not on the issuer's host"),
        ({"jwks_uri": "file:///etc/passwd"}, "not on the issuer's host"),
        ({"jwks_uri": "https://[bad/keys"}, "not on the issuer's host"),
        ({"jwks_uri": 7}, "not on the issuer's host"),
        ({}, "not on the issuer's host"),
    ],
    ids=str,
)
async def test_a_configuration_cannot_send_the_guard_elsewhere(
    server: Server, discovery: dict[str, Any], says: str
) -> None:
    server.discovery = {"issuer": server.url} | discovery
    with pytest.raises(UnusableError, match=says):
        await fetch_key_set(settings(server))
    assert server.asked == 0


async def test_an_issuer_is_believed_only_under_its_own_certificate(server: Server, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.crt"
    stranger.write_bytes(Authority("stranger").pem)
    for wrong in (str(stranger), None):
        asked = msgspec.structs.replace(settings(server), ca_file=wrong)
        with pytest.raises(UnusableError, match="certificate that is not trusted"):
            await fetch_key_set(asked)


async def test_a_missing_authority_and_a_port_that_nobody_listens_on(server: Server) -> None:
    with pytest.raises(UnusableError, match="cannot be asked \\(FileNotFoundError\\)"):
        await fetch_key_set(msgspec.structs.replace(settings(server), ca_file="/missing/ca.crt"))
    with pytest.raises(UnusableError, match="cannot be asked \\(ClientConnectorError\\)"):
        await fetch_key_set(settings(server, jwks_url="https://127.0.0.1:1/keys"))


async def test_an_issuer_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnusableError, match=r"does not answer within 0\.05 s"):
            await fetch_key_set(Jwt(url, ("chat",)), seconds=0.05)
