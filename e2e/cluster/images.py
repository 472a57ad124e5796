"""The project's images: what each is made of, and building what has changed. A tag is the digest of the inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from e2e.cluster import archive, builders, locks, progress
from e2e.cluster.archive import Size
from e2e.cluster.builders import Builder, Recipe
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import ROOT, Settings

KEPT = 3
"""So many builds of an image stay in the cache."""


@dataclass(frozen=True)
class Target:
    """An image to build. All paths are relative to the checkout; `inputs` are the files and folders it is made of."""

    name: str
    inputs: tuple[str, ...]
    dockerfile: str = "Dockerfile"
    context: str = "."
    stage: str | None = None
    bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image that is built."""

    name: str
    reference: str
    archive: Path
    size: Size


PYTHON_BASES = ("BUILD_BASE", "RUNTIME_BASE")
TARGETS = {
    target.name: target
    for target in (
        Target(
            name="operator",
            stage="operator",
            inputs=("requirements/operator.txt", "operator/llmops_operator", "sidecars/llmops_sidecars"),
            bases=PYTHON_BASES,
        ),
        Target(
            name="sidecar",
            stage="sidecar",
            inputs=("requirements/sidecar.txt", "sidecars/llmops_sidecars"),
            bases=PYTHON_BASES,
        ),
        Target(
            name="triton-cpu",
            stage="triton-cpu",
            dockerfile="e2e/triton-cpu/Dockerfile",
            context="e2e/triton-cpu",
            inputs=("e2e/triton-cpu",),
            bases=("BUILD_BASE", "TRITON_BASE"),
        ),
        Target(
            name="model-data",
            dockerfile="e2e/cluster/data.Dockerfile",
            context="e2e/triton-cpu/model-data",
            inputs=("e2e/triton-cpu/model-data",),
        ),
        Target(
            name="names-model",
            dockerfile="e2e/cluster/data.Dockerfile",
            context="e2e/names-model",
            inputs=("e2e/names-model",),
        ),
    )
}


def build(settings: Settings, names: Sequence[str]) -> list[Image]:
    """The named images, built where their inputs have changed; raises ClusterError."""
    chosen = [_target(name) for name in names]
    builder = builders.choose(settings)
    settings.images.mkdir(parents=True, exist_ok=True)
    return [_ensure(settings, builder, target) for target in chosen]


def find(settings: Settings, name: str) -> Image:
    """The image of the current inputs, which was built before; raises ClusterError when it was not."""
    target = _target(name)
    found = _built(settings, target, digest(target, builders.choose(settings)))
    if found is None:
        raise ClusterError(f"image {name} is not built from the current sources: `python3 -m e2e.cluster image {name}`")
    return found


def digest(target: Target, builder: Builder, root: Path = ROOT) -> str:
    """Twelve hexadecimal digits that change when the image would."""
    state = hashlib.sha256(json.dumps([asdict(target), builder.base_digests(target.bases)]).encode())
    for path in (root / target.dockerfile, *(file for item in target.inputs for file in _files(root / item))):
        mode = "x" if path.stat().st_mode & 0o100 else "-"
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        state.update(f"{path.relative_to(root)} {mode} {content}\n".encode())
    return state.hexdigest()[:12]


def reference(target: Target, tag: str) -> str:
    """The image's name in a cluster. It has a host part, or the kubelet would look for it at Docker Hub."""
    return f"localhost/llmops-{target.name}:{tag}"


def table(images: Sequence[Image]) -> str:
    """The images with their sizes, one a line."""
    rows = [("IMAGE", "COMPRESSED", "UNPACKED", "REFERENCE")]
    rows += [
        (one.name, _megabytes(one.size.compressed), _megabytes(one.size.unpacked), one.reference) for one in images
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise ClusterError(f"no image is called {name!r}: there are {', '.join(TARGETS)}")
    return TARGETS[name]


def _ensure(settings: Settings, builder: Builder, target: Target) -> Image:
    if not (ROOT / target.dockerfile).exists():
        raise ClusterError(f"image {target.name}: there is no {target.dockerfile}")
    tag = digest(target, builder)
    found = _built(settings, target, tag)
    if found is not None:
        return found
    with locks.held(settings.cache / "locks" / "images", "building images"):
        found = _built(settings, target, tag)
        return found or _build(settings, builder, target, tag)


def _build(settings: Settings, builder: Builder, target: Target, tag: str) -> Image:
    name, path = reference(target, tag), settings.images / f"{target.name}-{tag}.tar"
    recipe = Recipe(ROOT / target.dockerfile, ROOT / target.context, target.stage, name, target.bases)
    temporary = path.with_name(f".{path.name}")
    temporary.unlink(missing_ok=True)  # buildah does not write over an archive
    with progress.step(f"building image {target.name}"):
        builder.build(recipe, temporary)
        size = _measure(settings, temporary)
    temporary.replace(path)
    path.with_suffix(".json").write_text(json.dumps(asdict(size)) + "\n", encoding="utf-8")
    _drop_old(settings, target)
    return Image(target.name, name, path, size)


def _measure(settings: Settings, path: Path) -> Size:
    memory = settings.images / "layers.json"
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.exists() else {}
    size = archive.size(path, known)
    memory.write_text(json.dumps(known), encoding="utf-8")
    return size


def _built(settings: Settings, target: Target, tag: str) -> Image | None:
    path = settings.images / f"{target.name}-{tag}.tar"
    facts = path.with_suffix(".json")
    if not (path.exists() and facts.exists()):
        return None
    return Image(target.name, reference(target, tag), path, Size(**json.loads(facts.read_text(encoding="utf-8"))))


def _drop_old(settings: Settings, target: Target) -> None:
    """Remove all but the newest archives of an image."""
    pattern = f"{target.name}-{'[0-9a-f]' * 12}.tar"
    found = sorted(settings.images.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in found[KEPT:]:
        old.with_suffix(".json").unlink(missing_ok=True)
        old.unlink()


def _files(path: Path) -> Iterator[Path]:
    """A file, or those below a folder in a fixed order, bytecode left out; raises ClusterError when it is missing."""
    if not path.exists():
        raise ClusterError(
            f"an image needs {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: it is missing"
        )
    if path.is_file():
        yield path
        return
    yield from sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
