"""Base images out of Debian's own packages, for machines that reach Debian's mirror but no image registry.

The packages come from the machine's apt sources and are only unpacked: no maintainer script runs.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import archive, progress
from e2e.cluster.errors import ClusterError
from e2e.cluster.requirements import SYSTEM_PATH, apt
from e2e.cluster.settings import Settings

PYTHON = (
    "ca-certificates",
    "libbz2-1.0",
    "libc6",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libstdc++6",
    "libuuid1",
    "python3.11-minimal",
    "tzdata",
    "zlib1g",
)
PIP = ("python3-distutils", "python3-pip-whl", "python3-setuptools-whl", "python3.11-venv", "python3.11")
SHELL = ("busybox-static",)
TRITON = ("libpython3.11",)

UNWANTED = (
    "etc/alternatives",
    "etc/default",
    "etc/kernel",
    "etc/python3.11",
    "lib/udev",
    "usr/lib/*/audit",
    "usr/lib/*/gconv",
    "usr/lib/bfd-plugins",
    "usr/lib/python3.11/config-3.11-*",
    "usr/lib/python3.11/lib-dynload/_c[ru][yr]*.so",  # _crypt, _curses*: their libraries are left out, as below
    "usr/lib/python3.11/lib-dynload/_dbm*.so",
    "usr/lib/python3.11/lib-dynload/_sqlite3*.so",
    "usr/lib/python3.11/lib-dynload/nis*.so",
    "usr/lib/python3.11/lib-dynload/readline*.so",
    "usr/lib/python3.11/curses",
    "usr/lib/python3.11/lib2to3",
    "usr/lib/python3.11/pydoc_data",
    "usr/lib/python3.11/sqlite3",
    "usr/lib/python3.11/test",
    "usr/lib/python3.11/tkinter",
    "usr/lib/valgrind",
    "usr/sbin",
    "usr/share/applications",
    "usr/share/apport",
    "usr/share/binfmts",
    "usr/share/bug",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/gcc",
    "usr/share/gdb",
    "usr/share/initramfs-tools",
    "usr/share/libc-bin",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/pixmaps",
    "usr/share/python3",
    "usr/share/zoneinfo/posix",
    "usr/share/zoneinfo/right",
    "var",
)
"""Paths (patterns) that no image of ours needs."""

DIRECTORIES = ("bin", "dev", "etc/ssl/certs", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib/ssl")
FILES = {
    "etc/group": "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
        "nonroot:x:65532:65532:nonroot:/tmp:/bin/false\n"
    ),
}
ENVIRONMENT = ("PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8")


@dataclass(frozen=True)
class Base:
    """One base image. Without a shell, /usr/bin holds Python and nothing else."""

    name: str
    packages: tuple[str, ...]
    has_shell: bool

    def digest(self) -> str:
        """Changes with the packages' names and with this recipe, not with the packages' versions."""
        return hashlib.sha256(repr(self).encode() + Path(__file__).read_bytes()).hexdigest()[:12]

    @property
    def reference(self) -> str:
        """The image's name."""
        return f"localhost/llmops-{self.name}:{self.digest()}"


BASES = {
    "BUILD_BASE": Base("build-base", PYTHON + PIP + SHELL, has_shell=True),
    "RUNTIME_BASE": Base("runtime-base", PYTHON, has_shell=False),
    "TRITON_BASE": Base("triton-base", PYTHON + TRITON + SHELL, has_shell=True),
}
"""The bases by the name of the build argument that takes them."""


def available() -> bool:
    """Whether this machine can make them: it has apt-get and dpkg."""
    return all(map(shutil.which, ("apt-get", "dpkg")))


def ensure(settings: Settings, base: Base) -> Path:
    """The archive of a base image; made when it is missing or its recipe has changed. Raises ClusterError."""
    target = settings.images / "bases" / f"{base.name}-{base.digest()}.tar"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with progress.step(f"making {base.name} out of {len(base.packages)} Debian packages"):
            _make(base, target)
    return target


def _make(base: Base, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as temporary:
        packages, root = Path(temporary) / "packages", Path(temporary) / "root"
        packages.mkdir()
        _download(base, packages)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "--extract", str(package), str(root)], check=True)
        _furnish(root, has_shell=base.has_shell)
        archive.write(target, base.reference, root, {"Env": list(ENVIRONMENT), "Cmd": ["python3"]})


def _download(base: Base, directory: Path) -> None:
    command = ["download", *base.packages]
    if apt(command, directory).returncode:
        apt(["update"])  # a fresh machine has no list of packages, or an old one
        done = apt(command, directory)
        if done.returncode:
            said = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise ClusterError(f"apt-get could not download the packages of {base.name}: {said}")


def _furnish(root: Path, *, has_shell: bool) -> None:
    authorities = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = b"".join(path.read_bytes() for path in authorities)
    for pattern in (*UNWANTED, "usr/share/ca-certificates"):
        for path in root.glob(pattern):
            _remove(path)
    if not has_shell:
        for path in (*(root / "usr/bin").iterdir(), *(root / "sbin").glob("*")):
            if path.name != "python3.11":
                _remove(path)
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes(bundle)
    (root / "usr/lib/ssl/cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")  # where OpenSSL looks
    (root / "usr/bin/python3").unlink(missing_ok=True)
    (root / "usr/bin/python3").symlink_to("python3.11")
    if has_shell:
        _add_shell(root)
    _compile(root)


def _add_shell(root: Path) -> None:
    """Busybox's shell and tools, and a `bash` for programs that insist on the name."""
    listed = subprocess.run([str(root / "bin/busybox"), "--list"], capture_output=True, text=True, check=True)
    for applet in listed.stdout.split():
        if not any((root / directory / applet).exists() for directory in ("bin", "usr/bin")):
            (root / "bin" / applet).symlink_to("busybox")
    bash = root / "bin/bash"
    bash.write_text('#!/bin/sh\nexec /bin/sh "$@"\n', encoding="utf-8")
    bash.chmod(0o755)


def _compile(root: Path) -> None:
    """Bytecode of the standard library, by the image's own Python: packages come without."""
    command = ["/usr/bin/python3.11", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    subprocess.run(["chroot", str(root), *command, "/usr/lib/python3.11"], check=True, env={"PATH": SYSTEM_PATH})


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
