"""Installing what is measured, in the versions of the lock files, into the user's cache: never into this project."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from e2e.cluster import golang, progress
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import ROOT, read

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
LOAD = HERE / "load"
CARGO_SECONDS = 3000


class InstallError(Exception):
    """Something cannot be installed here; the message is one line."""


def cache() -> Path:
    """Where everything goes."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "llmops-operator" / "bench"


def once(name: str, sources: Sequence[Path] | str, make: Callable[[Path], None]) -> Path:
    """The directory that `make` fills, made when its sources changed or it is not there; raises InstallError."""
    content = sources if isinstance(sources, str) else "".join(path.read_text(encoding="utf-8") for path in sources)
    key = hashlib.sha256(f"{content}{sys.version}".encode()).hexdigest()[:12]
    target = cache() / f"{name}-{key}"
    if target.is_dir():
        return target
    cache().mkdir(parents=True, exist_ok=True)
    with progress.step(f"installing {name}, once"), tempfile.TemporaryDirectory(dir=cache(), prefix=".") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        make(made)
        made.replace(target)
    return target


def run(command: Sequence[str], directory: Path, variables: Mapping[str, str] | None = None) -> str:
    """Run a command and return what it printed; raises InstallError with its last words."""
    if shutil.which(command[0]) is None:
        raise InstallError(f"{command[0]} is missing")
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=CARGO_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{command[0]} took more than {CARGO_SECONDS} s") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr.strip() or done.stdout).splitlines() if line.strip()]
        raise InstallError(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}"[:300])
    return done.stdout


def load_program() -> Path:
    """The generator and upstream, built by the machine's Go; raises InstallError."""

    def make(target: Path) -> None:
        try:
            go = golang.find(read(os.environ))
        except ClusterError as error:
            raise InstallError(str(error)) from error
        run([go, "build", "-trimpath", "-o", str(target / "load"), "."], LOAD, {"CGO_ENABLED": "0"})

    return once("load", sorted(LOAD.glob("*.*")), make) / "load"


def python_environment(name: str) -> Path:
    """An environment with the packages of `locks/NAME.txt`, by their hashes; returns its directory of programs."""
    lock = LOCKS / f"{name}.txt"

    def make(target: Path) -> None:
        run([*uv(), "venv", "--quiet", "--relocatable", "--python", sys.executable, str(target / "venv")], HERE)
        python = str(target / "venv" / "bin" / "python")
        run([*uv(), "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)], HERE)

    return once(name, [lock], make) / "venv" / "bin"


def node_packages(name: str) -> Path:
    """A directory with the packages of `locks/NAME`; their own install scripts are not run."""
    files = [LOCKS / name / "package.json", LOCKS / name / "package-lock.json"]

    def make(target: Path) -> None:
        for file in files:
            shutil.copy(file, target)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], target)

    return once(name, files, make)


def crate(name: str, version: str) -> Path:
    """A program out of a published crate, built with the versions of its own lock file."""

    def make(target: Path) -> None:
        command = ["cargo", "install", name, "--version", version, "--locked", "--root", str(target)]
        run([*command, "--quiet"], target, {"CARGO_TARGET_DIR": str(target / "target")})
        shutil.rmtree(target / "target")

    return once(name, f"{name} {version}", make) / "bin" / name


def uv() -> list[str]:
    """The project's own installer."""
    return [sys.executable, "-m", "uv"]


def lock() -> None:
    """Write the lock files anew from `locks/*.in` and `locks/portkey/package.json`."""
    for source in sorted(LOCKS.glob("*.in")):
        target = source.with_suffix(".txt")
        options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet", "--no-emit-index-url"]
        note = ["--custom-compile-command", "python -m bench.gateway --lock"]
        run([*uv(), "pip", "compile", *options, *note, str(source.relative_to(ROOT)), "-o", str(target)], ROOT)
    options = ["--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved"]
    run(["npm", "install", *options], LOCKS / "portkey")
