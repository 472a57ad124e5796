from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cluster import locks
from e2e.cluster.settings import ROOT

HOLDER = """
import sys
from pathlib import Path
from e2e.cluster import locks
with locks.held(Path(sys.argv[1]), "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def _hold(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_second_holder_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "below" / "lock"
    with locks.held(path, "a test"):
        second = _hold(path)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.5)
    assert second.communicate(timeout=20)[0] == "held\n"


def test_a_killed_holder_holds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lock"
    with _hold(path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        first.kill()
    with locks.held(path, "a test"):
        pass
    assert "waiting" not in capsys.readouterr().err
