"""What the machine must have, and getting it from Debian when that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import progress
from e2e.cluster.errors import ClusterError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Requirement:
    """A program (found on PATH) or a file, and the Debian package that has it."""

    program: str
    package: str

    def met(self) -> bool:
        """Whether the machine has it."""
        return shutil.which(self.program, path=SYSTEM_PATH) is not None


CLUSTER = (
    Requirement("unshare", "util-linux"),
    Requirement("mount", "mount"),
    Requirement("ip", "iproute2"),
    Requirement("iptables", "iptables"),
    Requirement("conntrack", "conntrack"),
    Requirement("openssl", "openssl"),
    Requirement("runc", "runc"),
    Requirement("/usr/lib/cni/bridge", "containernetworking-plugins"),
)
MODULES = {"br_netfilter": Path("/proc/sys/net/bridge")}
"""Parts of the kernel that nothing loads by itself, by what shows that they are there. Without this one a pod does not
reach a Service whose pod is on the same bridge."""

IMAGES = (Requirement("buildah", "buildah"), Requirement("runc", "runc"))


def require_root(what: str) -> None:
    """Raise ClusterError unless this is root."""
    if os.geteuid() != 0:
        raise ClusterError(f"{what} needs root: run it with sudo, or set KUBECONFIG to a cluster of yours")


def ensure(requirements: Sequence[Requirement]) -> None:
    """Install what is missing with apt-get; raises ClusterError with the packages' names when that is not possible."""
    packages = missing(requirements)
    if not packages:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError(f"missing on this machine: {', '.join(packages)} (Debian's names): install them")
    install(packages)


def load_modules(modules: Mapping[str, Path] = MODULES) -> None:
    """Load what the kernel lacks; raises ClusterError with the names of what it does not have."""
    lacking = [name for name, sign in modules.items() if not sign.exists()]
    failed = [name for name in lacking if not _loaded(name)]
    if failed:
        raise ClusterError(f"the kernel has no module {', '.join(failed)}: the pods' network and images need it")


def _loaded(module: str) -> bool:
    program = shutil.which("modprobe", path=SYSTEM_PATH)
    if program is None:
        return False
    return subprocess.run([program, module], capture_output=True, check=False).returncode == 0


def missing(requirements: Sequence[Requirement]) -> list[str]:
    """The packages to install, each once."""
    return list(dict.fromkeys(one.package for one in requirements if not one.met()))


def install(packages: Sequence[str]) -> None:
    """Install Debian packages; raises ClusterError with apt's own words."""
    command = ["install", "--no-install-recommends", "--yes", *packages]
    with progress.step(f"installing Debian packages: {' '.join(packages)}"):
        if apt(command).returncode:
            apt(["update"])  # a fresh machine has no list of packages, or an old one
            done = apt(command)
            if done.returncode:
                said = (done.stderr.strip() or "no reason given").splitlines()[-1]
                raise ClusterError(f"apt-get could not install {', '.join(packages)}: {said}")


def apt(arguments: Sequence[str], directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run apt-get without questions; another one that runs is waited for."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Sandbox::User=root", *arguments]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
