"""Presidio's default analyzer over the same texts, in an environment of its own in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCK = HERE / "requirements.txt"

NAMES = {
    "EMAIL_ADDRESS": "Email",
    "PHONE_NUMBER": "Phone",
    "CREDIT_CARD": "CreditCard",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IPAddress",
    "MAC_ADDRESS": "MACAddress",
    "CRYPTO": "CryptoAddress",
    "DATE_TIME": "DateOfBirth",
    "LOCATION": "PostalAddress",
}
"""Its names for what the set marks; all names of a country's numbers are national ids."""

OTHERS = frozenset({"URL", "PERSON", "NRP", "ORGANIZATION"})
"""What it finds and the set does not mark."""


@dataclass(frozen=True)
class Found:
    """What it found in each text, the seconds of each, and its versions."""

    places: list[list[tuple[str, int, int]]]
    seconds: list[float]
    versions: dict[str, str]


def analyze(texts: Sequence[str]) -> Found:
    """Install it if need be, and run it once over all texts."""
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    command = [str(_environment() / "bin" / "python"), str(HERE / "presidio_run.py")]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=600)
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    places = [
        [(_named(name), start, end) for name, start, end, _ in one["places"] if name not in OTHERS]
        for one in answers[:-1]
    ]
    return Found(places, [one["seconds"] for one in answers[:-1]], answers[-1])


def _named(name: str) -> str:
    return NAMES.get(name, "NationalId")


def _environment() -> Path:
    """The folder of the environment; it is named by the lock file's digest."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmops-operator"
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache / f"presidio-{digest}"
    if (folder / "complete").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = ["pip", "install", "--quiet", "--require-hashes", "--python", str(folder / "bin" / "python")]
    subprocess.run([*uv, *install, "-r", str(LOCK)], check=True)
    (folder / "complete").touch()
    return folder
