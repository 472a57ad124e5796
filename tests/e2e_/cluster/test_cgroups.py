from __future__ import annotations

from pathlib import Path

import pytest

from e2e.cluster import cgroups
from e2e.cluster.errors import ClusterError


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for controller in ("cpu", "cpuset", "memory", "pids", "systemd"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (tmp_path / "cpuset" / "cpuset.mems").write_text("0\n")
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids rdma\n")
    return tmp_path


def test_the_version_is_told_by_what_is_mounted(version_1: Path) -> None:
    assert cgroups.version(version_1) == 1
    (version_1 / "cgroup.controllers").touch()
    assert cgroups.version(version_1) == 2


def test_a_machine_without_control_groups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"no control groups at .*: the cluster needs version 2, or version 1 with"):
        cgroups.version(tmp_path)


def test_version_1_gets_a_group_in_each_hierarchy_and_its_processors(version_1: Path) -> None:
    cgroups.create("node", version_1)
    assert sorted(path.parent.name for path in version_1.glob("*/node")) == [
        "cpu",
        "cpuset",
        "memory",
        "pids",
        "systemd",
    ]
    assert (version_1 / "cpuset" / "node" / "cpuset.cpus").read_text() == "0-1\n"
    assert (version_1 / "cpuset" / "node" / "cpuset.mems").read_text() == "0\n"


def test_version_2_hands_down_what_the_kubelet_needs_and_the_kernel_has(version_2: Path) -> None:
    cgroups.create("node", version_2)
    for directory in (version_2, version_2 / "node"):
        assert (directory / "cgroup.subtree_control").read_text() == "+cpu +cpuset +memory +pids"


def test_version_2_without_a_needed_controller_is_refused(version_2: Path) -> None:
    (version_2 / "cgroup.controllers").write_text("cpu memory\n")
    with pytest.raises(ClusterError, match="lack cpuset, pids"):
        cgroups.create("node", version_2)


def test_control_groups_that_cannot_be_handed_down_are_refused(version_2: Path) -> None:
    (version_2 / "cgroup.subtree_control").mkdir()  # cannot be written
    with pytest.raises(ClusterError, match=r"cannot hand control groups down from .* is it a container's\?"):
        cgroups.create("node", version_2)


def test_all_groups_of_the_name_go_and_no_other(tmp_path: Path) -> None:
    for path in (
        "cpu/node/kubepods/pod1/c1",
        "cpu/node/kubepods/pod2",
        "memory/node",
        "node/kubepods",
        "cpu/other/pod",
    ):
        (tmp_path / path).mkdir(parents=True)
    cgroups.remove("node", tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["cpu", "cpu/other", "cpu/other/pod", "memory"]


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    cgroups.remove("node", tmp_path)
