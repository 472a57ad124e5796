"""A real Valkey or Redis for tests, and a wire to it that can be slow, cut or changed.

The program is the one on the path; without any, Debian's packages are unpacked into the user's cache: nothing is
installed, and no service is started. A server is ended by its own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llmops_sidecars.cache.shared.resp import Reply, ReplyError, command, parse
from tests.support.triton import free_ports

PROGRAMS = ("valkey-server", "redis-server")
PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
START_SECONDS = 10.0


class ValkeyUnavailableError(Exception):
    """There is no server, and none can be had."""


@dataclass
class Server:
    """A server with a folder of its own."""

    folder: Path
    port: int
    arguments: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program, libraries = install()
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *words, *self.arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": libraries},
            )
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise ValkeyUnavailableError((self.folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """Let it hang: the kernel goes on to take connections and bytes."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | bytes, login: tuple[str, str] | None = None) -> Reply:
        """Have a command done, as whoever may do everything, or as a user; raises ReplyError."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as wire:
            if login is not None:
                _exchange(wire, "AUTH", *login)
            return _exchange(wire, *words)

    def keys(self, pattern: str = "*") -> list[bytes]:
        """The names of all keys."""
        found = self.ask("KEYS", pattern)
        assert isinstance(found, list)
        return sorted(name for name in found if isinstance(name, bytes))

    def _answers(self) -> bool:
        try:
            return self.ask("PING") is not None
        except ReplyError:
            return True
        except OSError:
            return False


def _exchange(wire: socket.socket, *words: str | bytes) -> Reply:
    wire.sendall(command(*(word.encode() if isinstance(word, str) else word for word in words)))
    received = b""
    while (found := parse(received)) is None:
        data = wire.recv(65536)
        if not data:
            raise ConnectionResetError
        received += data
    if isinstance(found[0], ReplyError):
        raise found[0]
    return found[0]


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Server]:
    """A server for the time of a `with`; skips the test, and on CI fails it, where there is none to be had."""
    (port,) = free_ports(1)
    server = Server(folder, port, arguments)
    try:
        install()
    except ValkeyUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Valkey on this machine: {error}")
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)


def install() -> tuple[str, str]:
    """The program, and where its libraries are beside the system's; raises ValkeyUnavailableError."""
    for name in PROGRAMS:
        if (program := shutil.which(name)) is not None:
            return program, ""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-operator" / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name("redis.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _unpack(folder)
    libraries = sorted({str(one.parent) for one in (folder / "usr" / "lib").rglob("*.so*")})
    return str(folder / "usr" / "bin" / "redis-server"), ":".join(libraries)


def _unpack(folder: Path) -> None:
    if not all(map(shutil.which, ("apt-get", "dpkg"))):
        raise ValkeyUnavailableError(
            "install valkey-server or redis-server; without Debian's apt-get nothing can be had"
        )
    if _call(folder, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES):
        _call(folder, "apt-get", "-qq", "update")
        if _call(folder, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *PACKAGES):
            raise ValkeyUnavailableError("apt-get cannot download redis-server")
    for package in folder.glob("*.deb"):
        _call(folder, "dpkg", "--extract", str(package), str(folder))
        package.unlink()
    (folder / "complete").touch()


def _call(folder: Path, *words: str) -> int:
    return subprocess.run(words, cwd=folder, capture_output=True, check=False).returncode


@dataclass
class Wire:
    """Connections to a server that pass through here, a chunk at a time; `reply` changes what comes back.

    `hold` stops all replies, `after` cuts a connection after so many bytes of replies.
    """

    port: int
    reply: Callable[[bytes], bytes] = bytes
    after: int | None = None
    delay: float = 0.0
    taken: int = 0
    """Connections so far."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _held: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self) -> None:
        """Let no reply through until `release`."""
        self._held.clear()

    def release(self) -> None:
        """Let replies through, those that were held too."""
        self._held.set()

    def cut(self) -> None:
        """Reset all connections."""
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self.taken += 1
        self._open.add(writer)
        try:
            below, above = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._there(reader, above))
                    tasks.create_task(self._back(below, writer))
            finally:
                above.transport.abort()
        except* (OSError, EOFError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        raise EOFError

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(65536):
            await asyncio.sleep(self.delay)
            await self._held.wait()
            data = self.reply(data)
            if self.after is not None:
                data = data[: max(self.after - passed, 0)]
            passed += len(data)
            writer.write(data)
            if self.after is not None and passed >= self.after:
                raise EOFError
        raise EOFError


@contextlib.asynccontextmanager
async def wired(server_port: int) -> AsyncIterator[tuple[Wire, int]]:
    """A wire to a server, and the port at its other end."""
    wire = Wire(server_port)
    wire.release()
    listening = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    try:
        yield wire, int(listening.sockets[0].getsockname()[1])
    finally:
        listening.close()
        wire.cut()
