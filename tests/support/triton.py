"""A real Triton on this machine, a process of the test run: `e2e/triton-cpu`'s model behind NVIDIA's server.

`running_triton` starts one and ends it with everything that belongs to it. The first time ever, the server's packages
(140 MB) are installed into the user's cache; `python -m tests.support.triton` does that beforehand.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from tests.support.triton_files import REPOSITORY, TRITON_CPU, Config, put_backends, put_repository

REQUIREMENTS = TRITON_CPU / "requirements.txt"
PYTHONS = ("3.11", "3.12")
"""Versions that have both a backend in the wheel and a numpy below 2."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Triton's Python backend keeps its regions
REGION_PREFIX = "llmops-test-triton-"
PORTS = range(20000, 32000)
"""Below the kernel's own range, so that no outgoing connection takes one between the choice and the start."""

LOAD_SECONDS = 60
_numbers = itertools.count()

_PROBE = """
import ctypes, json, os, sys, sysconfig
name = sysconfig.get_config_var("INSTSONAME")
for folder in (sysconfig.get_config_var("LIBDIR"), ""):
    try:
        ctypes.CDLL(os.path.join(folder, name))
    except OSError:
        continue
    print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "libraries": folder}))
    break
"""


class TritonUnavailableError(Exception):
    """This machine cannot run Triton; the message says what to install."""


class TritonEndedError(Exception):
    """Triton ended, or did not load its model in time; the message has the end of its log."""


@dataclass(frozen=True)
class Installation:
    """The server's folder, and the variables under which it finds its interpreter and libraries."""

    server: Path
    variables: Mapping[str, str]


class TritonServer:
    """One server on 127.0.0.1: `http` and `metrics` are URLs, `grpc` is host:port; use it as a context manager."""

    def __init__(self, config: Config = None, flags: Sequence[str] = (), repository: Path = REPOSITORY) -> None:
        """Start nothing yet.

        Args:
            config: laid over the settings of the repository's models, mapping by mapping; or a file to be read instead.
            flags: further flags of tritonserver.
            repository: the model repository.
        """
        http, grpc, metrics = free_ports(3)
        self.http, self.grpc = f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        self._ports = {"http": http, "grpc": grpc, "metrics": metrics}
        self._config = config
        self._flags, self._repository = tuple(flags), repository
        self._region_prefix = f"{REGION_PREFIX}{os.getpid()}-{next(_numbers)}_"
        self._ends = contextlib.ExitStack()

    def __enter__(self) -> Self:
        installation = install()
        remove_stale_regions()
        folder = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="llmops-triton-")))
        self._models, settings = put_repository(self._repository, self._config, folder)
        self._backends = put_backends(installation.server, folder)
        self._log_path = folder / "log"
        with self._log_path.open("wb") as log:
            # setpriv: whatever becomes of the test run, the server does not outlive it. Its own session: one signal
            # reaches its model's processes too, and a Ctrl-C of the terminal none of them.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command(installation)],
                env={**installation.variables, "LLM_CONFIG_PATH": str(settings)},
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._ends.callback(self._end)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._ends.close)
            self._await_load()
            on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def log(self) -> str:
        """What the server has written so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def terminate(self, seconds: float) -> int:
        """End as the kubelet ends it; returns the exit status, or raises subprocess.TimeoutExpired."""
        self.process.terminate()
        return self.process.wait(seconds)

    def model_processes(self) -> list[int]:
        """The ids of the processes in which the model runs and has not died."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
        return [child for child in children if is_alive(child)]

    def _command(self, installation: Installation) -> list[str]:
        server = installation.server
        listen = [f"--{name}-{key}={value}" for name, port in self._ports.items() for key, value in _address(port)]
        return [
            str(server / "bin" / "tritonserver"),
            f"--model-repository={self._models}",
            f"--backend-directory={self._backends}",
            f"--backend-config=python,shm-region-prefix-name={self._region_prefix}",
            "--model-control-mode=none",
            "--exit-timeout-secs=5",
            "--allow-gpu-metrics=false",
            *listen,
            *self._flags,
        ]

    def _await_load(self) -> None:
        end = time.monotonic() + LOAD_SECONDS
        while not (_answers(f"{self.http}/v2/health/ready") and _answers(self.metrics)):
            if self.process.poll() is not None or time.monotonic() > end:
                raise TritonEndedError(f"exit status {self.process.poll()}, not ready: {_reasons(self.log())}")
            time.sleep(0.02)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for region in SHARED_MEMORY.glob(f"{self._region_prefix}*"):
            region.unlink(missing_ok=True)


@contextlib.contextmanager
def running_triton(
    config: Config = None, flags: Sequence[str] = (), repository: Path = REPOSITORY
) -> Iterator[TritonServer]:
    """A ready server for the time of a `with`; skips the test, and on CI fails it, where Triton cannot run."""
    try:
        install()
    except TritonUnavailableError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Triton on this machine: {error}")
    with TritonServer(config, flags, repository) as server:
        yield server


@pytest.fixture(scope="session")
def triton() -> Iterator[TritonServer]:
    """One server for the whole run: the built-in corpus, 2 ms a token, faults by request; leave it as it was."""
    with running_triton({"cpu_model": {"iteration_ms": 2, "faults": {"allow_in_requests": True}}}) as server:
        yield server


def is_alive(process: int) -> bool:
    """Whether there is a process of this id that is more than an entry in its parent's books."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 on which nobody listens."""
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.choice(PORTS)
            listener = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                found.append(port)
        return found


def remove_stale_regions() -> None:
    """Remove the shared memory that killed test runs have left."""
    for region in SHARED_MEMORY.glob(f"{REGION_PREFIX}*"):
        owner = region.name.removeprefix(REGION_PREFIX).partition("-")[0]
        if not Path("/proc", owner).exists():
            region.unlink(missing_ok=True)


def install() -> Installation:
    """The server, installed into the user's cache when it is not there yet.

    Raises:
        TritonUnavailableError: no interpreter fits, or the packages cannot be had.
    """
    python, version, libraries = _interpreter()
    folder = _cache() / f"python{version}-{_fingerprint(python)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _fill(folder, python, version)
    packages = folder / "lib" / f"python{version}" / "site-packages"
    variables = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": libraries, "HOME": str(folder)}
    return Installation(packages / "pytriton" / "tritonserver", variables)


def _fill(folder: Path, python: str, version: str) -> None:
    """Make a virtual environment with the server in it, and put the backend's program where the server looks for it."""
    start = time.monotonic()
    print(f"triton: installing into {folder} … ", end="", file=sys.__stderr__, flush=True)
    uv = [sys.executable, "-m", "uv"]
    environment = ["--python", str(folder / "bin" / "python3")]
    _call([*uv, "venv", "--quiet", "--clear", "--python", python, str(folder)])
    _call([*uv, "pip", "install", "--quiet", *environment, "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)])
    server = folder / "lib" / f"python{version}" / "site-packages" / "pytriton" / "tritonserver"
    program = "triton_python_backend_stub"
    shutil.copy2(server / "python_backend_stubs" / version / program, server / "backends" / "python" / program)
    (folder / "complete").touch()
    print(f"{time.monotonic() - start:.1f} s", file=sys.__stderr__, flush=True)


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TritonUnavailableError(f"{' '.join(command)} failed: {done.stderr.strip()}")


def _interpreter() -> tuple[str, str, str]:
    """An interpreter whose shared library the backend can load: its path, its version, and that library's folder."""
    for python in (sys.executable, *(f"python{version}" for version in PYTHONS), "/usr/bin/python3"):
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, check=False)
            found = json.loads(done.stdout or "{}")
            if found.get("version") in PYTHONS:
                return python, found["version"], found["libraries"]
    raise TritonUnavailableError(
        f"its backend needs CPython {' or '.join(PYTHONS)} with a shared library; "
        "on Debian 12: apt-get install python3.11 libpython3.11"
    )


def _fingerprint(python: str) -> str:
    content = REQUIREMENTS.read_bytes() + os.path.realpath(shutil.which(python) or python).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-operator" / "triton"


def _reasons(log: str) -> str:
    """The errors of a log, and its last lines."""
    lines = log.splitlines()
    errors = [line for line in lines if re.match(r"E\d{4} ", line)]
    return "\n".join([*errors, *lines[-5:]])


def _address(port: int) -> tuple[tuple[str, object], ...]:
    return ("address", "127.0.0.1"), ("port", port)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - our own server's address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    install()
