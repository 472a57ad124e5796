"""The tests that need no cluster: `make unit`. Most of them wait more than they compute, so lanes of them run at once.

With arguments they all go to one pytest: `make unit ARGS="-k name"`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
APART = {
    "operator": ("operator_",),
    "engines": ("e2e_", "sidecars_/engine", "sidecars_/main", "tools_"),
}
"""Lanes by name, the paths below `tests/`; the lane "rest" has all others."""

Lanes = dict[str, tuple[str, ...]]


def lanes(tests: Path = TESTS) -> Lanes:
    """Every path below the tests that holds tests, in exactly one lane."""
    apart = {path for paths in APART.values() for path in paths}
    opened = {path.split("/")[0] for path in apart if "/" in path}
    top = {path.parent.relative_to(tests).as_posix().split("/")[0] for path in tests.rglob("test_*.py")}
    below = {f"{name}/{path.name}" for name in opened for path in (tests / name).iterdir() if _has_tests(path)}
    return {**APART, "rest": tuple(sorted((top - opened | below) - apart))}


def main(arguments: Sequence[str]) -> int:
    """Run the lanes and print each one's lines and time; the exit status is the first failing lane's."""
    if arguments:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
    running = {name: _start(paths) for name, paths in lanes().items()}
    start, statuses = time.monotonic(), dict.fromkeys(running, 1)

    def follow(name: str, lane: subprocess.Popen[str]) -> None:
        _copy(name, lane.stdout)
        statuses[name] = lane.wait()
        print(f"{name:<9}| ended with status {statuses[name]} after {time.monotonic() - start:.0f} s", flush=True)

    threads = [threading.Thread(target=follow, args=item) for item in running.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next((status for status in statuses.values() if status), 0)


def _has_tests(path: Path) -> bool:
    return path.name.startswith("test_") or (path.is_dir() and any(path.rglob("test_*.py")))


def _start(paths: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", *(f"tests/{path}" for path in paths)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _copy(name: str, lines: IO[str] | None) -> None:
    for line in lines or ():
        print(f"{name:<9}| {line}", end="", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
