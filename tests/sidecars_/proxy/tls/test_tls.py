from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from llmops_sidecars.proxy.asgi import Receive, Scope, Send, send_json
from llmops_sidecars.proxy.connection import ConnectionLimits
from llmops_sidecars.proxy.server import listener
from llmops_sidecars.proxy.tls import Tls, client_certificate
from tests.support.asgi import eventually
from tests.support.issuer import Authority
from tests.support.mounts import Mount

AUTHORITY = Authority()


class Files:
    """What is mounted: our certificate, and the authorities of clients."""

    def __init__(self, directory: Path) -> None:
        self.own, self.clients = Mount(directory / "tls"), Mount(directory / "clients")

    def certificate(self, name: str = "server", authority: Authority = AUTHORITY, **options: float) -> None:
        certificate, key = authority.issue(name, **options)  # type: ignore[arg-type]  # days alone
        self.own.put({"tls.crt": certificate, "tls.key": key})


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def _whoami(scope: Scope, _receive: Receive, send: Send) -> None:
    certificate = client_certificate(scope) or {}
    names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    await send_json(send, 200, f"{scope['scheme']} {names}".encode())


@contextlib.asynccontextmanager
async def served(tls: Tls, limits: ConnectionLimits | None = None) -> AsyncIterator[int]:
    server = listener(_whoami, host="127.0.0.1", tls=tls.context, limits=limits)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await task


def trusting(*authorities: Authority, client: tuple[bytes, bytes] | None = None, folder: Path | None = None) -> Any:
    context = ssl.create_default_context(cadata="".join(one.pem.decode() for one in authorities))
    if client is not None and folder is not None:
        (folder / "client.pem").write_bytes(b"".join(client))
        context.load_cert_chain(folder / "client.pem")
    return context


class Client:
    """A connection that is kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def name(self) -> str:
        """What the server's certificate calls it."""
        subject = self.writer.get_extra_info("ssl_object").getpeercert()["subject"]
        return str(subject[0][0][1])

    async def ask(self) -> str:
        self.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.decode().splitlines() if "content-length" in line).split(":")[1])
        return (await self.reader.readexactly(length)).decode()


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext, name: str | None = "localhost") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def refused(port: int, context: ssl.SSLContext) -> bool:
    """Whether a request over TLS fails: TLS 1.3 tells clients of it after the handshake."""
    try:
        async with connected(port, context) as client:
            await client.ask()
    except (OSError, asyncio.IncompleteReadError):
        return True
    return False


async def test_clients_are_served_over_tls(files: Files) -> None:
    files.certificate()
    tls = Tls(files.own.folder)
    assert tls.check()
    async with served(tls) as port, connected(port, trusting(AUTHORITY)) as client:
        assert (await client.ask(), client.name) == ("https []", "server")


async def test_a_new_certificate_is_used_for_new_connections_and_ends_no_old_one(files: Files) -> None:
    files.certificate("old")
    tls = Tls(files.own.folder)
    tls.check()
    async with served(tls) as port, connected(port, trusting(AUTHORITY)) as before:
        await before.ask()
        files.certificate("new")
        assert tls.check()
        for name in ("localhost", "127.0.0.1"):
            async with connected(port, trusting(AUTHORITY), name) as after:
                assert (await after.ask(), after.name) == ("https []", "new")
        assert (await before.ask(), before.name) == ("https []", "old")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "No such file or directory"),
        ({"tls.crt": b"", "tls.key": b""}, "not a certificate and its key"),
        ({"tls.crt": AUTHORITY.issue()[0], "tls.key": AUTHORITY.issue()[1]}, "not a certificate and its key"),
        ({"tls.crt": b"x" * (1024 * 1024 + 1), "tls.key": b""}, "not a certificate and its key"),
    ],
    ids=["missing", "empty", "a foreign key", "huge"],
)
async def test_broken_files_leave_the_last_good_certificate_in_use(
    files: Files, content: dict[str, bytes], says: str
) -> None:
    files.certificate("good")
    tls = Tls(files.own.folder)
    tls.check()
    files.own.put(content)
    assert not tls.check()
    assert says in str(tls.problem)
    async with served(tls) as port, connected(port, trusting(AUTHORITY)) as client:
        assert (await client.ask(), client.name) == ("https []", "good")


async def test_without_a_certificate_no_handshake_ends_well_until_there_is_one(files: Files) -> None:
    tls = Tls(files.own.folder)
    tls.check()
    assert "No such file" in str(tls.problem)
    async with served(tls) as port:
        assert await refused(port, trusting(AUTHORITY))
        files.certificate()
        tls.check()
        assert not await refused(port, trusting(AUTHORITY))
        assert tls.problem is None


async def test_an_expired_certificate_is_a_problem_that_is_told(files: Files) -> None:
    files.certificate(days=-1)
    tls = Tls(files.own.folder)
    tls.check()
    assert "tls.crt has expired on" in str(tls.problem)


async def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(files: Files) -> None:
    certificate, key = AUTHORITY.issue()
    private = serialization.load_pem_private_key(key, None)
    encrypted = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    files.own.put({"tls.crt": certificate, "tls.key": encrypted})
    tls = Tls(files.own.folder)
    tls.check()
    assert "not a certificate and its key" in str(tls.problem)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
async def test_old_versions_are_not_spoken(files: Files) -> None:
    files.certificate()
    tls = Tls(files.own.folder)
    tls.check()
    async with served(tls) as port:
        for version, expected in ((ssl.TLSVersion.TLSv1_1, True), (ssl.TLSVersion.TLSv1_2, False)):
            context = trusting(AUTHORITY)
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            assert await refused(port, context) is expected


async def test_plain_http_gets_no_answer_on_a_port_with_tls(files: Files) -> None:
    files.certificate()
    tls = Tls(files.own.folder)
    tls.check()
    async with served(tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert b"HTTP/1.1" not in await reader.read()
        writer.close()


async def test_clients_must_show_a_certificate_of_an_authority_that_is_trusted_now(
    files: Files, tmp_path: Path
) -> None:
    first, second = Authority("first"), Authority("second")
    files.certificate()
    files.clients.put({"ca.crt": first.pem})
    tls = Tls(files.own.folder, files.clients.folder)
    tls.check()
    names = (x509.DNSName("client"),)
    ours = trusting(AUTHORITY, client=first.issue("team-a", names), folder=tmp_path)
    theirs = trusting(AUTHORITY, client=second.issue("team-b", names), folder=tmp_path)
    async with served(tls) as port:
        assert await refused(port, trusting(AUTHORITY))
        assert await refused(port, theirs)
        async with connected(port, ours) as client:
            assert await client.ask() == "https ['team-a']"
        files.clients.put({"ca.crt": second.pem})
        tls.check()
        assert await refused(port, ours), "the first authority is gone"
        async with connected(port, theirs) as client:
            assert await client.ask() == "https ['team-b']"


async def test_authorities_that_are_none_are_refused(files: Files) -> None:
    files.certificate()
    files.clients.put({"ca.crt": b"none"})
    tls = Tls(files.own.folder, files.clients.folder)
    tls.check()
    assert tls.problem == "ca.crt holds no certificate in PEM"


async def handshake_begun(context: ssl.SSLContext) -> bytes:
    """What a client says first."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["nothing", "half a hello", "a hello and no more"])
async def test_a_handshake_that_does_not_end_is_cut_and_clients_beside_it_are_served(
    files: Files, share: float
) -> None:
    files.certificate()
    tls = Tls(files.own.folder)
    tls.check()
    says = await handshake_begun(trusting(AUTHORITY))
    async with served(tls, ConnectionLimits(head_seconds=0.5)) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(says[: int(len(says) * share)])
        async with connected(port, trusting(AUTHORITY)) as beside:
            assert await beside.ask() == "https []"
            with contextlib.suppress(ConnectionError):
                while await reader.read(65536):
                    pass
        writer.close()


async def test_a_head_over_tls_has_as_long_as_any(files: Files) -> None:
    files.certificate()
    tls = Tls(files.own.folder)
    tls.check()
    limits = ConnectionLimits(head_seconds=0.5)
    async with served(tls, limits) as port, connected(port, trusting(AUTHORITY)) as client, asyncio.timeout(5):
        client.writer.write(b"GET / HTTP/1.1\r\n")
        assert (await client.reader.read(65536)).startswith(b"HTTP/1.1 408 ")
