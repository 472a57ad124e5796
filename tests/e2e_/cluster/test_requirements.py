from __future__ import annotations

import os
from pathlib import Path

import pytest

from e2e.cluster import requirements
from e2e.cluster.errors import ClusterError
from e2e.cluster.requirements import Requirement

THERE = Requirement("sh", "dash")
ABSENT = (Requirement("no-such-program", "one"), Requirement("/no/such/file", "two"), Requirement("nor-this", "one"))


def test_the_packages_of_what_is_missing_are_named_once() -> None:
    assert requirements.missing((THERE, *ABSENT)) == ["one", "two"]


def test_nothing_is_done_when_nothing_is_missing() -> None:
    requirements.ensure([THERE])


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"missing on this machine: one, two \(Debian's names\): install them"):
        requirements.ensure(ABSENT)


APT = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case "$*" in
*install*) test -e "$(dirname "$0")/updated" || { echo "E: no list" >&2; exit 100; };;
*update*) touch "$(dirname "$0")/WHAT";;
esac
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "calls"


def _write_apt(path: Path, what_update_makes: str) -> None:
    path.write_text(APT.replace("WHAT", what_update_makes))
    path.chmod(0o755)


def test_a_machine_without_a_list_of_packages_gets_one(calls: Path) -> None:
    _write_apt(calls.with_name("apt-get"), "updated")
    requirements.install(["one"])
    assert [line.split()[-1] for line in calls.read_text().splitlines()] == ["one", "update", "one"]
    assert "--no-install-recommends --yes one" in calls.read_text()


def test_what_apt_says_at_last_is_the_reason(calls: Path) -> None:
    _write_apt(calls.with_name("apt-get"), "nothing")
    with pytest.raises(ClusterError, match="apt-get could not install one, two: E: no list"):
        requirements.install(["one", "two"])


def test_a_person_who_is_not_root_is_told_of_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match="the cluster needs root: run it with sudo, or set KUBECONFIG"):
        requirements.require_root("the cluster")


def test_what_the_kernel_has_needs_no_module(tmp_path: Path) -> None:
    requirements.load_modules({"anything": tmp_path})


def test_a_module_that_the_kernel_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="the kernel has no module no_such_module_1: the pods' network and images"):
        requirements.load_modules({"no_such_module_1": tmp_path / "absent", "there": tmp_path})
