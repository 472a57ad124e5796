"""The guard with access: who is let in, as whom, and what everybody else is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from llmops_sidecars.contract import Access, ApiKeys, CertificateField, Jwt, RequiredClaim, Tenant, TenantLimits
from llmops_sidecars.guard.serving import build
from llmops_sidecars.proxy.asgi import Headers
from llmops_sidecars.proxy.inprocess import AppDownstream
from llmops_sidecars.proxy.tls import Tls
from tests.sidecars_.guard.kit import CHAT, FakeCache, Guard, contract, guarded, question, said
from tests.support.asgi import Answer, Sent, call, eventually
from tests.support.issuer import Issuer, unsigned
from tests.support.mounts import Mount

A, A2, B = "sk-aaaaaaaaaaaaaaaa", "sk-a2a2a2a2a2a2a2a2", "sk-bbbbbbbbbbbbbbbb"


class Keyed:
    """A guard that knows `team-a` by two keys and `team-b` by one."""

    def __init__(self, directory: Path, **access: Any) -> None:
        self.mount = Mount(directory / "keys")
        self.mount.put({"team-a": f"{A}\n{A2}\n", "team-b": B})
        self.cache = FakeCache(said("Hello"))
        keys = ApiKeys(str(self.mount.folder))
        self.guard = guarded(directory, self.cache, contract(access=Access(keys, **access)))

    async def ask(self, key: str | None = A, **headers: str) -> Answer:
        bearer = {"authorization": f"Bearer {key}"} if key else {}
        return await self.guard.ask(**bearer, **headers)

    @property
    def partitions(self) -> list[str]:
        return [headers["x-llmops-tenant"] for headers in self.cache.received]


@pytest.fixture
def keyed(tmp_path: Path) -> Keyed:
    return Keyed(tmp_path)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([(b"authorization", f"Bearer {A}".encode())], 200, None),
        ([(b"authorization", f"bearer  {A2} ".encode())], 200, None),
        ([(b"api-key", A.encode())], 200, None),
        ([(b"x-api-key", B.encode())], 200, None),
        ([], 401, "missing_api_key"),
        ([(b"authorization", b"Bearer ")], 401, "missing_api_key"),
        ([(b"authorization", f"Basic {A}".encode())], 401, "missing_api_key"),
        ([(b"authorization", A.encode())], 401, "missing_api_key"),
        ([(b"authorization", f"Bearer {A}x".encode())], 401, "invalid_api_key"),
        ([(b"authorization", b"Bearer sk-\xff\xfe")], 401, "invalid_api_key"),
        ([(b"authorization", b"Bearer nobody"), (b"api-key", A.encode())], 401, "invalid_api_key"),
        ([(b"api-key", b""), (b"x-api-key", A.encode())], 200, None),
        ([(b"authorization", unsigned({"alg": "none"}, {"sub": "team-a"}).encode())], 401, "missing_api_key"),
        ([(b"authorization", b"Bearer " + b"x" * 60_000)], 401, "invalid_api_key"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_key_is_sent_in_one_of_three_headers(
    keyed: Keyed, headers: Headers, status: int, code: str | None
) -> None:
    answer = await call(keyed.guard.app, "POST", CHAT, body=question(), headers=headers)
    assert answer.status == status
    assert code is None or answer.error["code"] == code


async def test_who_is_not_known_is_told_so_in_openais_envelope(keyed: Keyed) -> None:
    for key, code in ((None, "missing_api_key"), ("sk-unknown-unknown", "invalid_api_key")):
        answer = await keyed.ask(key)
        assert answer.status == 401
        assert answer.error["code"] == code
        assert (answer.error["type"], answer.error["param"]) == ("invalid_request_error", None)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]
        assert "sk-unknown" not in answer.body.decode()
    assert keyed.cache.requests == []


async def test_a_body_of_who_is_not_known_is_not_read(keyed: Keyed) -> None:
    async def receive() -> Any:
        raise AssertionError("the body was read")

    sent = Sent()
    scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [(b"content-length", b"9999999999")]}
    await keyed.guard.app(scope, receive, sent)
    assert sent.messages[0]["status"] == 401


async def test_models_are_for_those_who_are_known(keyed: Keyed) -> None:
    assert (await call(keyed.guard.app, "GET", "/v1/models")).status == 401
    known = await call(keyed.guard.app, "GET", "/v1/models", headers=[(b"api-key", A.encode())])
    assert known.json["data"][0]["id"] == "chat"


async def test_callers_of_one_tenant_share_answers_and_no_two_tenants_do(keyed: Keyed) -> None:
    for key in (A, A2, B):
        await keyed.ask(key)
    first, second, other = keyed.partitions
    assert first == second != other
    assert not {"team-a", "team-b", "anonymous", A, B} & {first, other}


async def test_while_access_is_open_nobody_is_refused_and_keys_still_keep_answers_apart(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello"))
    guard = guarded(tmp_path, cache)
    for headers in ({"authorization": "Bearer x"}, {"authorization": "Bearer y"}, {"api_key": "y"}, {}):
        assert (await guard.ask(**headers)).status == 200
    assert len({headers["x-llmops-tenant"] for headers in cache.received}) == 4
    assert cache.received[3]["x-llmops-tenant"] == "anonymous"


async def test_keys_change_without_a_restart_and_end_no_answer(keyed: Keyed) -> None:
    gate = asyncio.Event()
    running = asyncio.create_task(keyed.guard.app.run())
    keyed.cache.script = [*said("Hello")[:2], gate, *said("Hello")[2:]]
    headers = [(b"api-key", A.encode())]
    async with AppDownstream(keyed.guard.app).request(
        "POST", CHAT, headers, msgspec.json.encode(question(stream=True))
    ) as response:
        pieces = response.stream()
        await anext(pieces)
        keyed.mount.put({"team-a": A2})

        async def gone() -> bool:
            return (await keyed.ask("sk-wrong-wrong-wrong")).status == 401 and (await models(A)).status == 401

        async def models(key: str) -> Answer:
            return await call(keyed.guard.app, "GET", "/v1/models", headers=[(b"api-key", key.encode())])

        await eventually(gone)
        assert (await models(A2)).status == 200
        gate.set()
        assert b"[DONE]" in b"".join([piece async for piece in pieces])
    running.cancel()


async def test_an_empty_secret_closes_and_never_opens(keyed: Keyed) -> None:
    keyed.mount.put({})
    keyed.guard.app.access.check()
    assert [(await keyed.ask(key)).status for key in (A, None)] == [401, 401]
    assert (await keyed.guard.admin("/config")).json["access"] == {
        "apiKeys": "there is no key, so that everybody is refused"
    }
    assert await keyed.guard.metric('llmops_access_problem{part="apiKeys"}') == 1


async def test_broken_keys_leave_the_last_good_ones_in_use_and_are_told(keyed: Keyed) -> None:
    keyed.mount.put({"team-a": "short", "team-b": B})
    keyed.guard.app.access.check()
    assert (await keyed.ask(A)).status == 200
    assert "team-a, line 1: a key has" in (await keyed.guard.admin("/config")).json["access"]["apiKeys"]
    keyed.mount.put({"team-b": B})
    keyed.guard.app.access.check()
    assert (await keyed.ask(A)).status == 401
    assert (await keyed.guard.admin("/config")).json["access"] == {}
    assert await keyed.guard.metric('llmops_access_problem{part="apiKeys"}') == 0


async def test_a_guard_that_never_had_keys_is_not_ready_and_says_what_is_missing(tmp_path: Path) -> None:
    keyed = Keyed(tmp_path)
    keyed.mount.put({})
    guard = guarded(tmp_path, keyed.cache, contract(access=Access(ApiKeys(str(keyed.mount.folder)))))
    guard.app.readiness.mark(0.0)
    answer = await guard.admin("/readyz")
    assert answer.status == 503
    assert "API keys: there is no key" in answer.error["message"]
    keyed.mount.put({"team-a": A})
    guard.app.access.check()
    assert "API keys" not in (await guard.admin("/readyz")).body.decode()
    keyed.mount.put({})
    guard.app.access.check()
    assert "API keys" not in (await guard.admin("/readyz")).body.decode(), "it refuses everybody, and stays in service"


@pytest.mark.parametrize(
    ("access", "says"),
    [
        (Access(ApiKeys("/missing/keys")), "access.api_keys.directory: there is no directory /missing/keys here"),
        (Access(jwt=Jwt("https://x", ("a",), ca_file="/missing/ca.crt")), "access.jwt.ca_file: there is no directory"),
        (Access(certificate_tenant=CertificateField.URI), "see --client-ca"),
    ],
    ids=["keys", "authority", "client certificates"],
)
async def test_a_pod_that_cannot_do_what_the_new_contract_asks_goes_on_as_it_was(
    tmp_path: Path, access: Access, says: str
) -> None:
    """It is about to be replaced by one with the new mounts; until then the former contract holds."""
    guard = guarded(tmp_path, FakeCache(said("Hello")))
    guard.use(contract(access=access))
    assert (await guard.ask()).status == 200
    assert says in (await guard.admin("/config")).json["error"]
    fresh = guarded(tmp_path, FakeCache(said("Hello")), contract(access=access))
    assert (await fresh.ask()).status == 503, "with nothing to go on with nobody is let in"


async def test_access_closes_and_opens_with_the_contract(keyed: Keyed) -> None:
    assert (await keyed.ask(None)).status == 401
    keyed.guard.use(contract())
    assert (await keyed.ask(None)).status == 200
    keyed.guard.use(contract(access=Access(ApiKeys(str(keyed.mount.folder)))))
    assert ((await keyed.ask(None)).status, (await keyed.ask(A)).status) == (401, 200)


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with Issuer(tmp_path).serving() as server:
        yield server


def jwt_of(issuer: Issuer, **fields: Any) -> Jwt:
    return Jwt(issuer.url, ("chat",), ca_file=str(issuer.ca_file), **fields)


async def looked(guard: Guard) -> Guard:
    assert guard.app.access.issuer is not None
    await guard.app.access.issuer.look()
    return guard


async def test_a_token_is_let_in_as_its_tenant(tmp_path: Path, issuer: Issuer) -> None:
    cache = FakeCache(said("Hello"))
    settings = jwt_of(issuer, tenant_claim="team", required_claims=(RequiredClaim("role", ("user",)),))
    guard = await looked(guarded(tmp_path, cache, contract(access=Access(jwt=settings))))
    good = issuer.token(team="team-a", role="user")
    assert (await guard.ask(authorization=f"Bearer {good}")).status == 200
    denied = await guard.ask(authorization=f"Bearer {issuer.token(team='team-a', role='guest')}")
    assert (denied.status, denied.error["code"]) == (403, "permission_denied")
    for wrong in (issuer.token(team="team-a", exp=1), f"{good}x", "sk-not-a-token", "a.b.c"):
        refused = await guard.ask(authorization=f"Bearer {wrong}")
        assert (refused.status, refused.error["code"]) == (401, "invalid_token")
        assert wrong not in refused.body.decode()


async def test_keys_and_tokens_stand_side_by_side_and_name_the_same_tenants(tmp_path: Path, issuer: Issuer) -> None:
    keyed = Keyed(tmp_path, jwt=jwt_of(issuer))
    await looked(keyed.guard)
    for credential in (A, issuer.token(sub="team-a"), issuer.token(sub="team-b")):
        assert (await keyed.ask(credential)).status == 200
    assert keyed.partitions[0] == keyed.partitions[1] != keyed.partitions[2]
    assert (await keyed.ask("sk-neither-of-them")).error["code"] == "invalid_api_key"


async def test_tokens_are_refused_with_503_while_they_cannot_be_checked(tmp_path: Path, issuer: Issuer) -> None:
    issuer.respond = web.Response(status=500)
    guard = await looked(guarded(tmp_path, FakeCache(said("Hello")), contract(access=Access(jwt=jwt_of(issuer)))))
    answer = await guard.ask(authorization=f"Bearer {issuer.token()}")
    assert (answer.status, answer.error["code"]) == (503, "access_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "answers with status 500" in (await guard.admin("/readyz")).error["message"]
    issuer.respond = None
    running = asyncio.create_task(guard.app.run())
    guard.app.access.issuer.look()  # type: ignore[union-attr]

    async def served() -> bool:
        return (await guard.ask(authorization=f"Bearer {issuer.token()}")).status == 200

    await eventually(served)
    running.cancel()


async def test_an_issuer_that_is_down_does_not_keep_a_guard_with_keys_out_of_service(
    tmp_path: Path, issuer: Issuer
) -> None:
    issuer.respond = web.Response(status=500)
    keyed = Keyed(tmp_path, jwt=jwt_of(issuer))
    await looked(keyed.guard)
    assert keyed.guard.app.access.blocked is None
    assert "jwt" in (await keyed.guard.admin("/config")).json["access"]


async def test_an_issuers_keys_are_fetched_by_themselves(tmp_path: Path, issuer: Issuer) -> None:
    guard = guarded(tmp_path, FakeCache(said("Hello")), contract(access=Access(jwt=jwt_of(issuer))))
    running = asyncio.create_task(guard.app.run())
    await eventually(lambda: issuer.asked == 1)
    running.cancel()


async def test_what_does_not_change_of_access_keeps_its_state(tmp_path: Path, issuer: Issuer) -> None:
    keyed = Keyed(tmp_path, jwt=jwt_of(issuer))
    await looked(keyed.guard)
    access = keyed.guard.app.access
    before = (access.keys, access.issuer)
    keys = ApiKeys(str(keyed.mount.folder))
    keyed.guard.use(contract(access=Access(keys, jwt_of(issuer), default_limits=TenantLimits(weight=2))))
    assert (access.keys, access.issuer) == before
    keyed.guard.use(contract(access=Access(keys, jwt_of(issuer, tenant_claim="team"))))
    assert access.keys is before[0]
    assert access.issuer is not before[1]


async def by_certificate(guard: Guard, name: str | None, **headers: str) -> Answer:
    """A request over a connection whose client has shown a certificate of that name."""
    certificate = None if name is None else {"subject": ((("commonName", name),),)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await guard.app({**scope, "state": {"client_certificate": certificate}}, receive, send)

    fields = [(key.encode(), value.encode()) for key, value in headers.items()]
    return await call(app, "POST", CHAT, body=question(), headers=fields)


async def test_a_certificate_names_the_tenant_where_no_credential_is_sent(tmp_path: Path) -> None:
    cache = FakeCache(said("Hello"))
    make = partial(build, client_certificates=True)
    access = Access(certificate_tenant=CertificateField.COMMON_NAME)
    guard = guarded(tmp_path, cache, contract(access=access), make=make)
    assert (await by_certificate(guard, "team-a")).status == 200
    assert (await by_certificate(guard, "team-a", authorization="Bearer what-the-client-must-send")).status == 200
    assert (await by_certificate(guard, None)).error["code"] == "missing_api_key"
    keyed = Keyed(tmp_path)
    mixed = Access(ApiKeys(str(keyed.mount.folder)), certificate_tenant=CertificateField.COMMON_NAME)
    guard.use(contract(access=mixed))
    assert (await by_certificate(guard, "team-a")).status == 200
    assert (await by_certificate(guard, "team-b", authorization=f"Bearer {A}")).status == 200
    assert (await by_certificate(guard, "team-a", authorization="Bearer wrong")).error["code"] == "invalid_api_key"
    assert len({headers["x-llmops-tenant"] for headers in cache.received}) == 1


async def test_a_guard_without_a_certificate_of_its_own_is_not_ready(tmp_path: Path) -> None:
    tls = Tls(tmp_path / "tls")
    tls.check()
    guard = Guard(tmp_path, AppDownstream(FakeCache()), tls=tls)
    guard.use(contract())
    assert "TLS: No such file or directory" in (await guard.admin("/readyz")).error["message"]
    assert "No such file" in (await guard.admin("/config")).json["access"]["tls"]


async def test_requests_and_tokens_are_counted_by_tenant_with_few_labels(tmp_path: Path, issuer: Issuer) -> None:
    tenants = (Tenant("token-tenant", TenantLimits(weight=2)),)
    keyed = Keyed(tmp_path, jwt=jwt_of(issuer), tenants=tenants)
    await looked(keyed.guard)
    for credential in (A, A2, issuer.token(sub="token-tenant"), issuer.token(sub="u1"), issuer.token(sub="u2"), "x"):
        await keyed.ask(credential)
    counted = {
        name: await keyed.guard.metric(f'llmops_tenant_requests_total{{result="served",tenant="{name}"}}')
        for name in ("team-a", "token-tenant", "others")
    }
    assert counted == {"team-a": 2, "token-tenant": 1, "others": 2}
    assert await keyed.guard.metric('llmops_tenant_tokens_total{direction="output",tenant="team-a"}') == 2
    text = (await keyed.guard.admin("/metrics")).body.decode()
    assert 'tenant="u1"' not in text


async def test_no_key_and_no_token_is_in_any_log_metric_or_error(
    tmp_path: Path, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keyed = Keyed(tmp_path, jwt=jwt_of(issuer))
    await looked(keyed.guard)
    tokens = [issuer.token(), issuer.token(exp=1), f"{issuer.token()}.x", "planted.planted.planted"]
    credentials = [A, B, f"{A}-wrong", *tokens]
    answers = [await keyed.ask(credential) for credential in credentials]
    keyed.mount.put({"team-a": A, "team-b": A})
    keyed.guard.app.access.check()
    pages = [(await keyed.guard.admin(path)).body for path in ("/metrics", "/config", "/readyz")]
    said = str([vars(record) for record in caplog.records]) + str(pages)
    said += str([(answer.headers, answer.body) for answer in answers])
    for credential in credentials:
        assert credential not in said
        assert credential.rpartition(".")[0] not in said or "." not in credential
    assert [record.__dict__["tenant"] for record in caplog.records if record.name == "llmops.access"][:3] == [
        "team-a",
        "team-b",
        "",
    ]
