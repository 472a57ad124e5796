"""The programs that build images: buildah, which needs no daemon, or a Docker engine that runs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from e2e.cluster import debian, requirements
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
OWN_MOUNTS = ("unshare", "--mount", "--propagation=private")
"""Before a command whose mounts must not outlive it: buildah leaves some of its store's behind."""

SAID_LINES = 25


@dataclass(frozen=True)
class Recipe:
    """What to build: one stage of a Dockerfile (the last one when None) over a context, under a name."""

    dockerfile: Path
    context: Path
    stage: str | None
    reference: str
    bases: tuple[str, ...]
    """The build arguments that name base images."""


class Builder(Protocol):
    """Builds images and hands them out."""

    def base_digests(self, bases: Sequence[str]) -> list[str]:
        """What stands for the content of these bases in an image's own digest."""

    def build(self, recipe: Recipe, archive: Path) -> None:
        """Build, and write an archive; raises ClusterError with the last of what the build said."""

    def push(self, archive: Path, reference: str, remote: str) -> None:
        """Send a built image to a registry; raises ClusterError."""


def choose(settings: Settings) -> Builder:
    """Buildah where it is or can be installed, else Docker; raises ClusterError when there is neither."""
    if shutil.which("buildah") is None and _docker_runs():
        return Docker()
    if os.geteuid() != 0:
        raise ClusterError("building images needs root for buildah, or a running Docker engine")
    requirements.ensure(requirements.IMAGES)
    return Buildah(settings)


@dataclass(frozen=True)
class Buildah:
    """Buildah with a store of its own in the cache. Never with its default network, which changes the machine's own."""

    settings: Settings

    def base_digests(self, bases: Sequence[str]) -> list[str]:
        """Our recipes' digests, or the names alone of bases that a registry has."""
        return [debian.BASES[name].digest() for name in bases] if debian.available() else list(bases)

    def build(self, recipe: Recipe, archive: Path) -> None:
        """`buildah build`, every step cached."""
        with tempfile.TemporaryDirectory() as temporary:
            command = ["build", "--isolation", "chroot", "--network", "host", "--layers", "--format", "docker"]
            command += ["--file", str(recipe.dockerfile), "--tag", recipe.reference]
            command += ["--target", recipe.stage] if recipe.stage else []
            command += [*self._base_arguments(recipe.bases), *_trust(Path(temporary)), str(recipe.context)]
            self._run(*command)
        self._run("push", "--quiet", recipe.reference, f"docker-archive:{archive}:{recipe.reference}")

    def push(self, archive: Path, reference: str, remote: str) -> None:
        """`buildah push`, of what the archive holds."""
        self._run("pull", "--quiet", f"docker-archive:{archive}")
        self._run("push", "--quiet", reference, f"docker://{remote}")

    def _base_arguments(self, bases: Sequence[str]) -> list[str]:
        if not debian.available():
            return []
        chosen = {name: debian.BASES[name] for name in bases}
        for base in chosen.values():
            archive = debian.ensure(self.settings, base)
            if not self._has(base.reference):
                self._run("pull", "--quiet", f"docker-archive:{archive}")
        arguments = (("--build-arg", f"{name}={base.reference}") for name, base in chosen.items())
        return ["--pull-never", *(word for pair in arguments for word in pair)]

    def _has(self, reference: str) -> bool:
        command = self._command("inspect", "--type", "image", reference)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _run(self, *arguments: str) -> None:
        _run(self._command(*arguments))

    def _command(self, *arguments: str) -> list[str]:
        store, transient = self.settings.cache / "buildah" / "store", self.settings.cache / "buildah" / "run"
        options = ["--root", str(store), "--runroot", str(transient), "--storage-driver", "overlay"]
        return [*OWN_MOUNTS, "buildah", *options, *arguments]


@dataclass(frozen=True)
class Docker:
    """A Docker engine, which pulls the base images that the Dockerfile names."""

    def base_digests(self, bases: Sequence[str]) -> list[str]:
        """The build arguments' names alone: what they stand for is in the Dockerfile."""
        return list(bases)

    def build(self, recipe: Recipe, archive: Path) -> None:
        """`docker build` and `docker save`."""
        stage = ["--target", recipe.stage] if recipe.stage else []
        _run(["docker", "build", "-f", str(recipe.dockerfile), "-t", recipe.reference, *stage, str(recipe.context)])
        _run(["docker", "save", "-o", str(archive), recipe.reference])

    def push(self, archive: Path, reference: str, remote: str) -> None:
        """`docker push`, of what the archive holds."""
        _run(["docker", "load", "-q", "-i", str(archive)])
        _run(["docker", "tag", reference, remote])
        _run(["docker", "push", "-q", remote])


def _docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _trust(directory: Path) -> list[str]:
    """Let pip inside the build trust what this machine trusts: a proxy's own authority is in the machine's bundle."""
    bundle = Path(os.environ.get("SSL_CERT_FILE") or SYSTEM_BUNDLE)
    if not bundle.exists():
        return []
    configuration = directory / "pip.conf"
    configuration.write_text("[global]\ncert = /run/ca.crt\ndisable-pip-version-check = true\n", encoding="utf-8")
    return ["--volume", f"{bundle}:/run/ca.crt:ro", "--volume", f"{configuration}:/etc/pip.conf:ro"]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        said = done.stdout.strip().splitlines()[-SAID_LINES:]
        raise ClusterError("\n".join([f"{shlex.join(command)} failed; its last words:", *said]))
