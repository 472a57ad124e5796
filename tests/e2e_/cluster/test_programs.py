from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.cluster import programs
from e2e.cluster.programs import BUILDS, MODULES, Build, Module, Package

KUBE = next(build for build in BUILDS if build.name == "kube")


def test_the_version_that_the_programs_state_is_the_one_that_is_built() -> None:
    assert f"k8s.io/kubernetes {programs.KUBERNETES}" in (MODULES / "kube" / "go.mod").read_text()
    flags = programs.kubernetes_version_flags("v1.37.2")
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=37" in flags


@pytest.mark.parametrize("name", [build.name for build in BUILDS if isinstance(build.source, Module)])
def test_each_module_of_ours_is_complete_and_named_after_the_project(name: str) -> None:
    directory = MODULES / name
    assert re.match(rf"module llmops/e2e/{name}\n", (directory / "go.mod").read_text())
    assert "func main()" in (directory / "main.go").read_text()


def test_the_program_of_many_names_knows_each_of_them() -> None:
    source = (MODULES / "kube" / "main.go").read_text()
    assert all(f'"{link}"' in source for link in KUBE.links)


def test_no_two_builds_leave_the_same_file() -> None:
    names = [name for build in BUILDS for name in (*build.files, *build.links)]
    assert len(names) == len(set(names))


@pytest.fixture
def build(tmp_path: Path) -> Build:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "go.mod").write_text("module x\n")
    (tmp_path / "source" / "main.go").write_text("package main\n")
    return Build("tool", Module(tmp_path / "source"), files=("tool",), links=("tool-by-another-name",))


def _make(build: Build, directory: Path) -> None:
    for name in (*build.files, *build.links):
        (directory / name).touch()
    (directory / f".{build.name}.built").write_text(build.digest())


def test_what_is_built_is_fresh(build: Build, tmp_path: Path) -> None:
    assert not programs.fresh(build, tmp_path)
    _make(build, tmp_path)
    assert programs.fresh(build, tmp_path)


def test_a_lost_file_makes_it_stale(build: Build, tmp_path: Path) -> None:
    _make(build, tmp_path)
    (tmp_path / "tool-by-another-name").unlink()
    assert not programs.fresh(build, tmp_path)


def test_a_change_of_the_source_makes_it_stale(build: Build, tmp_path: Path) -> None:
    _make(build, tmp_path)
    (tmp_path / "source" / "main.go").write_text("package main // changed\n")
    assert not programs.fresh(build, tmp_path)


@pytest.mark.parametrize("change", [{"link_flags": "-X a=b"}, {"tags": "x"}, {"links": ()}, {"files": ("other",)}])
def test_a_change_of_the_build_makes_another_digest(build: Build, change: dict[str, object]) -> None:
    assert replace(build, **change).digest() != build.digest()  # type: ignore[arg-type]  # a table of fields


def test_a_change_of_the_version_makes_another_digest() -> None:
    assert Package("m", "v1", ("cmd/x",)).digest() != Package("m", "v2", ("cmd/x",)).digest()
