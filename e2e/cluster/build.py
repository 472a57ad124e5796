"""Building the programs from source with the machine's Go, once: what is there and unchanged is not built again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster import golang, locks, progress
from e2e.cluster.errors import ClusterError
from e2e.cluster.programs import BUILDS, KWOK_STAGES, Build, Module, Package, fresh
from e2e.cluster.settings import Settings

PACKAGE_LINE = re.compile(r"[\w.~-]+(/[\w.~-]+)*")


def ensure(settings: Settings, names: Sequence[str] = ()) -> None:
    """Build what is missing or stale of the named builds (all without names); raises ClusterError."""
    chosen = select(names)
    if all(fresh(build, settings.bin) for build in chosen):
        return
    with locks.held(settings.cache / "locks" / "build", "building the programs"):
        stale = [build for build in chosen if not fresh(build, settings.bin)]
        if not stale:
            return
        go = golang.find(settings)
        settings.bin.mkdir(parents=True, exist_ok=True)
        for build in stale:
            with progress.step(f"building {build.name}, once; about {build.cold} when nothing of it is cached") as step:
                _make(go, build, settings.bin, step)


def select(names: Sequence[str]) -> list[Build]:
    """The builds with these names, all when there are none; raises ClusterError for an unknown one."""
    known = {build.name: build for build in BUILDS}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ClusterError(f"no program is called {unknown[0]!r}: there are {', '.join(known)}")
    return [known[name] for name in names] or list(BUILDS)


def _make(go: str, build: Build, directory: Path, step: progress.Step) -> None:
    with tempfile.TemporaryDirectory(dir=directory, prefix=f".{build.name}-") as temporary:
        made = Path(temporary)
        if isinstance(build.source, Module):
            _run(build_command(go, build, made / build.name), step, build, build.source.directory)
        else:
            _run(install_command(go, build, build.source), step, build, made, GOBIN=str(made))
        if "kwok-stages.yaml" in build.files and isinstance(build.source, Package):
            (made / "kwok-stages.yaml").write_text(_kwok_stages(go, build.source), encoding="utf-8")
        for name in build.files:
            (made / name).replace(directory / name)
    for link in build.links:
        if not (directory / link).is_symlink():
            (directory / link).symlink_to(build.files[0])
    (directory / f".{build.name}.built").write_text(build.digest() + "\n", encoding="utf-8")


def build_command(go: str, build: Build, output: Path) -> list[str]:
    """The command for a module of ours. Without -trimpath all of Kubernetes would be compiled anew in each checkout."""
    flags = ["-mod=readonly", "-trimpath", "-v", "-ldflags", f"-s -w {build.link_flags}"]
    return [go, "build", *flags, "-o", str(output), "."]


def install_command(go: str, build: Build, source: Package) -> list[str]:
    """The command for published packages."""
    flags = ["-trimpath", "-v", "-ldflags", f"-s -w {build.link_flags}"]
    tags = [f"-tags={build.tags}"] if build.tags else []
    return [go, "install", *flags, *tags, *(f"{source.module}/{path}@{source.version}" for path in source.paths)]


def _run(command: list[str], step: progress.Step, build: Build, directory: Path, **variables: str) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", **variables}
    packages, said = 0, deque[str](maxlen=15)
    with subprocess.Popen(command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True) as running:
        for line in running.stderr or ():
            if PACKAGE_LINE.fullmatch(line.strip()):
                packages += 1
                step.note(f"{packages} packages compiled")
            elif line.startswith("go: downloading"):
                step.note("downloading modules")
            else:
                said.append(line.rstrip())
    if running.returncode:
        raise ClusterError("\n".join([f"building {build.name} failed; Go's last words:", *said]))


def _kwok_stages(go: str, source: Package) -> str:
    command = [go, "mod", "download", "-json", f"{source.module}@{source.version}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    stages = Path(json.loads(found.stdout)["Dir"]) / "kustomize" / "stage"
    return "\n---\n".join((stages / name).read_text(encoding="utf-8") for name in KWOK_STAGES)
