"""Write the bills of materials of the images, in CycloneDX: `make bill`, after `make lock`.

Each holds what the image's lock file pins, with hashes, and what needs what; uv makes it of exactly these pins.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "dist"
IMAGES = ("operator", "sidecar")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)(?: ; ([^\\]+?))? *\\?$", re.MULTILINE)

Pins = dict[str, tuple[str, str]]
"""Versions and markers by name."""


def pins(lock: str) -> Pins:
    """What a lock file pins."""
    return {name: (version, marker) for name, version, marker in PIN.findall(lock)}


def project(image: str, pinned: Pins, left_out: list[str]) -> str:
    """A project that depends on exactly these, for uv; `left_out`: what some of them ask for and do not get."""
    needs = [f"{name}=={version}{f' ; {marker}' if marker else ''}" for name, (version, marker) in pinned.items()]
    head = f'[project]\nname = "llmops-{image}"\nversion = "0"\nrequires-python = ">=3.11"\n'
    return f"{head}dependencies = {needs!r}\n[tool.uv]\nexclude-dependencies = {left_out!r}\n"


def bill(image: str) -> str:
    """The bill of an image; raises ValueError when it does not hold what the lock file pins."""
    pinned = pins((ROOT / "requirements" / f"{image}.txt").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project(image, pinned, _left_out()), encoding="utf-8")
        _uv(folder, "lock")
        made = _uv(folder, "export", "--format", "cyclonedx1.5", "--preview-features", "sbom-export")
    found = {one["name"]: one["version"] for one in json.loads(made)["components"]}
    if found != {name: version for name, (version, _) in pinned.items()}:
        raise ValueError(f"the bill of {image} is not what requirements/{image}.txt pins")
    return made


def main() -> int:
    """Write them all; gives the exit status."""
    TARGET.mkdir(exist_ok=True)
    for image in IMAGES:
        path = TARGET / f"{image}.cdx.json"
        path.write_text(bill(image), encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")
    return 0


def _left_out() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(settings["tool"]["uv"]["exclude-dependencies"])


def _uv(folder: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "uv", *arguments, "--quiet", "--project", folder]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True, text=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
