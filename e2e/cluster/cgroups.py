"""The node's control groups: one directory named after the cluster, below the root of each hierarchy.

Version 1 (also "hybrid") has a hierarchy for each controller, version 2 one for all. There the controllers must be
handed down from the root, as systemd does for its own units; it takes none away that are in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from e2e.cluster.errors import ClusterError
from e2e.cluster.processes import wait_until

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS_1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd")
CONTROLLERS_2 = ("cpu", "cpuset", "memory", "pids", "hugetlb")
"""What the kubelet asks for on version 2; hugetlb only where the kernel has it."""


def version(mount: Path = MOUNT) -> int:
    """1 or 2; raises ClusterError when the machine has neither in full."""
    if (mount / "cgroup.controllers").exists():
        return 2
    if (mount / "memory").is_dir() and (mount / "pids").is_dir():
        return 1
    raise ClusterError(f"no control groups at {mount}: the cluster needs version 2, or version 1 with memory and pids")


def create(name: str, mount: Path = MOUNT) -> None:
    """Make the node's group in every hierarchy, ready for the kubelet; raises ClusterError."""
    if version(mount) == 2:  # noqa: PLR2004  # the version
        _create_2(name, mount)
    else:
        _create_1(name, mount)


def remove(name: str, mount: Path = MOUNT) -> None:
    """Remove the group and all below it, once the processes in it are gone; raises ClusterError."""
    if not wait_until(10, lambda: _remove_once(name, mount)):
        left = ", ".join(map(str, _groups(name, mount)))
        raise ClusterError(f"control groups are still in use: {left}")


def _create_1(name: str, mount: Path) -> None:
    for controller in CONTROLLERS_1:
        if (mount / controller).is_dir():
            (mount / controller / name).mkdir(exist_ok=True)
    for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, and then nothing may run in it
        value = (mount / "cpuset" / file).read_text()
        (mount / "cpuset" / name / file).write_text(value)


def _create_2(name: str, mount: Path) -> None:
    there = (mount / "cgroup.controllers").read_text().split()
    missing = {"cpu", "cpuset", "memory", "pids"}.difference(there)
    if missing:
        raise ClusterError(f"the control groups at {mount} lack {', '.join(sorted(missing))}: the cluster needs them")
    group, enable = mount / name, " ".join(f"+{one}" for one in CONTROLLERS_2 if one in there)
    try:
        (mount / "cgroup.subtree_control").write_text(enable)
        group.mkdir(exist_ok=True)
        (group / "cgroup.subtree_control").write_text(enable)
    except OSError as error:
        raise ClusterError(
            f"cannot hand control groups down from {mount} ({error.strerror}): is it a container's?"
        ) from error


def _remove_once(name: str, mount: Path) -> bool:
    for root in _groups(name, mount):
        below = (path for path in root.rglob("*") if path.is_dir())
        for group in sorted((root, *below), key=lambda path: len(path.parts), reverse=True):
            try:
                group.rmdir()
            except OSError:
                return False
    return True


def _groups(name: str, mount: Path) -> Iterator[Path]:
    return (path for path in (mount / name, *mount.glob(f"*/{name}")) if path.is_dir())
