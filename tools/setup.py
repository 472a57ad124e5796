"""Make `.venv`, with the locked packages and this project in it: `make setup`.

Needs nothing but Python and the package registries. What was downloaded once stays in the user's cache, so a second
checkout takes seconds; when nothing changed it takes none.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.txt"
LEAST_PYTHON = (3, 11)


class SetupError(Exception):
    """What is missing and what to do, in one line."""


def main() -> int:
    """Do what is not done yet; the exit status is 1 with one line of reason when it cannot go on."""
    try:
        _require_python()
        if _stamp().is_file() and _stamp().read_text(encoding="ascii") == _wanted():
            return 0
        _install()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def _require_python() -> None:
    if sys.version_info[:2] < LEAST_PYTHON:
        wanted = ".".join(map(str, LEAST_PYTHON))
        raise SetupError(f"Python {wanted} or newer is needed, this is {sys.version.split()[0]}; say make PYTHON=…")


def _stamp() -> Path:
    return VENV / "complete"


def _wanted() -> str:
    """Changes with the lock file, the project's own metadata and the interpreter."""
    content = LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes() + sys.version.encode() + bytes(ROOT)
    return hashlib.sha256(content).hexdigest()


def _install() -> None:
    uv = _uv()
    _step("virtual environment", [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])
    target = ["--quiet", "--python", str(VENV / "bin" / "python")]
    _step("packages, by their hashes", [str(uv), "pip", "install", *target, "--require-hashes", "-r", str(LOCK)])
    _step("this project", [str(uv), "pip", "install", *target, "--no-deps", "--editable", str(ROOT)])
    _stamp().write_text(_wanted(), encoding="ascii")


def _uv() -> Path:
    """The installer, of the locked version, in an environment of its own in the cache."""
    version = re.search(r"^uv==(\S+)", LOCK.read_text(encoding="ascii"), re.MULTILINE)
    if version is None:
        raise SetupError(f"{LOCK.relative_to(ROOT)} does not hold uv; make it again with `make lock`")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-operator"
    directory = cache / f"uv-{version[1]}-python{sys.version_info.major}.{sys.version_info.minor}"
    uv = directory / "bin" / "uv"
    if not uv.is_file():
        _require_venv()
        shutil.rmtree(directory, ignore_errors=True)
        _step("installer", [sys.executable, "-m", "venv", str(directory)])
        requirement = directory / "uv.txt"
        requirement.write_text(_locked("uv"), encoding="ascii")
        pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        _step("installer's package", [*pip, "-r", str(requirement)])
    return uv


def _locked(package: str) -> str:
    """The lines of the lock file for one package: its version and hashes."""
    lines = LOCK.read_text(encoding="ascii").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{package}=="))
    end = next(i for i in range(start + 1, len(lines)) if not lines[i].startswith("    --hash"))
    return "\n".join(lines[start:end]) + "\n"


def _require_venv() -> None:
    """Debian keeps `ensurepip` in a package of its own."""
    probe = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True, check=False)
    if probe.returncode == 0:
        return
    package = f"python3.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupError(f"the package {package} is missing; install it: apt-get install {package}")
    _step("package lists", ["apt-get", "update", "-qq"])
    _step(package, ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])


def _step(title: str, command: list[str]) -> None:
    """Run one command with its title and time; what it printed is shown when it fails."""
    start = time.monotonic()
    print(f"setup: {title} … ", end="", flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(f"{time.monotonic() - start:.1f} s", flush=True)
    if done.returncode:
        raise SetupError(f"{title} failed: {' '.join(command)}\n{done.stdout}")


if __name__ == "__main__":
    raise SystemExit(main())
