"""Lint, types and import contracts, each with its time: `make check`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "lint": ("ruff", "check", "--quiet", "."),
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "types": ("mypy", "--no-error-summary", "operator", "sidecars", "tests", "e2e", "bench", "tools"),
    "import contracts": ("lint-imports",),
}


def main() -> int:
    """Run them all, print what the failing ones say; the exit status is 1 when one failed."""
    return max([_run(name, command) for name, command in CHECKS.items()])


def _run(name: str, command: tuple[str, ...]) -> int:
    start = time.monotonic()
    done = subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name:<18} {verdict:<6} {time.monotonic() - start:6.1f} s", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return min(done.returncode, 1)


if __name__ == "__main__":
    raise SystemExit(main())
