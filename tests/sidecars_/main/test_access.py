"""Access as clients meet it: the official client, over TLS, against the guard as a process."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from openai import (
    APIConnectionError,
    AsyncOpenAI,
    AuthenticationError,
    DefaultAsyncHttpxClient,
    InternalServerError,
    PermissionDeniedError,
    RateLimitError,
)

from llmops_sidecars.__main__ import main
from llmops_sidecars.contract import Access, ApiKeys, CertificateField, Jwt, Tenant, TenantLimits
from tests.sidecars_.main.kit import Sidecars, sidecars
from tests.support.asgi import eventually
from tests.support.issuer import Authority, Issuer
from tests.support.mounts import Mount

KEY, LIMITED = "sk-aaaaaaaaaaaaaaaa", "sk-limited-limited"
AUTHORITY = Authority()


class Client:
    """The official client over TLS, without retries."""

    def __init__(self, running: Sidecars, folder: Path, certificate: tuple[bytes, bytes] | None = None) -> None:
        context = ssl.create_default_context(cadata=AUTHORITY.pem.decode())
        if certificate is not None:
            (folder / "client.pem").write_bytes(b"".join(certificate))
            context.load_cert_chain(folder / "client.pem")
        self._url = f"https://localhost:{running.port}/v1"
        self._context = context

    async def ask(self, key: str = KEY) -> str:
        http = DefaultAsyncHttpxClient(verify=self._context)
        async with AsyncOpenAI(base_url=self._url, api_key=key, max_retries=0, http_client=http) as api:
            question = api.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hello there"}])
            answer = await question
        return answer.choices[0].message.content or ""


@pytest.fixture
async def issuer(tmp_path: Path) -> AsyncIterator[Issuer]:
    async with Issuer(tmp_path).serving() as server:
        yield server


async def test_the_official_client_raises_what_is_meant(tmp_path: Path, issuer: Issuer) -> None:
    keys, tls = Mount(tmp_path / "keys"), Mount(tmp_path / "tls")
    keys.put({"team-a": KEY, "limited": LIMITED})
    certificate, private = AUTHORITY.issue("first")
    tls.put({"tls.crt": certificate, "tls.key": private})
    jwt = Jwt(issuer.url, ("chat",), ca_file=str(issuer.ca_file), required_scopes=("chat",))
    limits = (Tenant("limited", TenantLimits(requests_per_minute=1)),)
    access = Access(ApiKeys(str(keys.folder)), jwt, tenants=limits)
    async with sidecars(tmp_path, "serve", access=access, flags=[f"--tls={tls.folder}"]) as running:
        client = Client(running, tmp_path)
        assert await client.ask() == "Hello there"
        await eventually(lambda: issuer.asked > 0)
        assert await client.ask(issuer.token(scope="chat")) == "Hello there"
        for wrong in ("sk-wrong-wrong-wrong", issuer.token(scope="chat", exp=1), "a.b.c"):
            with pytest.raises(AuthenticationError):
                await client.ask(wrong)
        with pytest.raises(PermissionDeniedError, match="scope 'chat'"):
            await client.ask(issuer.token())
        assert await client.ask(LIMITED) == "Hello there"
        with pytest.raises(RateLimitError, match="limit of 1 requests per minute") as caught:
            await client.ask(LIMITED)
        assert 55 <= int(caught.value.response.headers["retry-after"]) <= 60
        assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"

        second, private = AUTHORITY.issue("second")
        tls.put({"tls.crt": second, "tls.key": private})
        keys.put({"team-b": "sk-bbbbbbbbbbbbbbbb"})
        await eventually(lambda: _says(running, "API keys in use") == 2)
        with pytest.raises(AuthenticationError):
            await client.ask()
        assert await Client(running, tmp_path).ask("sk-bbbbbbbbbbbbbbbb") == "Hello there"
        await eventually(lambda: _says(running, "TLS certificate in use") == 2)
        log = (tmp_path / "serve.log").read_text()
        assert not any(secret in log for secret in (KEY, LIMITED, "sk-wrong", private.decode()[40:80]))


async def test_clients_are_known_by_their_certificates(tmp_path: Path) -> None:
    tls, authorities = Mount(tmp_path / "tls"), Mount(tmp_path / "ca")
    certificate, private = AUTHORITY.issue()
    tls.put({"tls.crt": certificate, "tls.key": private})
    clients = Authority("clients")
    authorities.put({"ca.crt": clients.pem})
    flags = [f"--tls={tls.folder}", f"--client-ca={authorities.folder}"]
    access = Access(certificate_tenant=CertificateField.COMMON_NAME)
    async with sidecars(tmp_path, "cache", "guard", access=access, flags=flags) as running:
        assert await Client(running, tmp_path, clients.issue("team-a")).ask("unused") == "Hello there"
        with pytest.raises(AuthenticationError):
            await Client(running, tmp_path, clients.issue("")).ask()
        with pytest.raises(APIConnectionError):
            await Client(running, tmp_path).ask()
        with pytest.raises(APIConnectionError):
            await Client(running, tmp_path, Authority("strangers").issue("team-a")).ask()
        tenants = [line["tenant"] for line in running.log("guard") if line["message"] == "request"]
        assert tenants == ["team-a", ""]


async def test_tokens_that_cannot_be_checked_are_no_fault_of_the_caller(tmp_path: Path) -> None:
    keys, tls = Mount(tmp_path / "keys"), Mount(tmp_path / "tls")
    keys.put({"team-a": KEY})
    certificate, private = AUTHORITY.issue()
    tls.put({"tls.crt": certificate, "tls.key": private})
    access = Access(ApiKeys(str(keys.folder)), Jwt("https://127.0.0.1:1", ("chat",)))
    async with sidecars(tmp_path, "serve", access=access, flags=[f"--tls={tls.folder}"]) as running:
        with pytest.raises(InternalServerError) as caught:
            await Client(running, tmp_path).ask(Issuer(tmp_path).token())
        assert caught.value.status_code == 503
        assert int(caught.value.response.headers["retry-after"]) > 0


def test_authorities_of_clients_need_a_certificate_of_our_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["guard", "--client-ca=/ca"])
    assert caught.value.code == 2
    assert "--client-ca needs --tls" in capsys.readouterr().err


def _says(running: Sidecars, message: str) -> int:
    return sum(line["message"] == message for line in running.log("serve"))
