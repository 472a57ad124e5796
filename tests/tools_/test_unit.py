from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tools import unit


def test_every_test_is_in_exactly_one_lane() -> None:
    paths = [unit.TESTS / path for lane in unit.lanes().values() for path in lane]
    assert all(path.exists() for path in paths)
    found = Counter(file for path in paths for file in ([path] if path.is_file() else path.rglob("test_*.py")))
    assert found == Counter(unit.TESTS.rglob("test_*.py"))


def test_a_new_directory_and_a_new_file_beside_an_opened_one_are_in_the_rest(tmp_path: Path) -> None:
    for name in ("new_/test_a.py", "sidecars_/test_b.py", "sidecars_/engine/test_c.py", "support/no_test.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert unit.lanes(tmp_path)["rest"] == ("new_", "sidecars_/test_b.py")


def test_arguments_reach_pytest_and_its_status_comes_back() -> None:
    command = [
        sys.executable,
        "-m",
        "tools.unit",
        "--collect-only",
        "-q",
        "-k",
        "nothing_is_named_so",
        "tests/tools_",
    ]
    done = subprocess.run(command, cwd=unit.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stdout
