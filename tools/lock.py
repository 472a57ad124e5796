"""Write the lock files, all with hashes: `make lock` after a change of the dependencies in pyproject.toml.

`requirements/dev.txt` is resolved first and holds everything; the images' files are the same versions and less of them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMON = (
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--custom-compile-command",
    "make lock",
    "--quiet",
)
FILES = {"dev": ("operator", "sidecar", "dev"), "operator": ("operator",), "sidecar": ("sidecar",)}


def main() -> int:
    """Compile the files one after the other; the exit status is the first failure's."""
    for name, extras in FILES.items():
        constraints = () if name == "dev" else ("--constraint", "requirements/dev.txt")
        chosen = [argument for extra in extras for argument in ("--extra", extra)]
        command = [sys.executable, "-m", "uv", "pip", "compile", *COMMON, *chosen, *constraints, *sys.argv[1:]]
        done = subprocess.run([*command, "pyproject.toml", "-o", f"requirements/{name}.txt"], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
