"""Image archives in Docker's format, which `ctr` and `buildah` read: writing one of a directory, measuring any."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CREATED = "1970-01-01T00:00:00Z"
"""The same for every image, so that equal ones are; without it buildah finds no cached layer on top of them."""

CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Size:
    """Bytes of an image's layers, as a registry keeps them and as a node does."""

    compressed: int
    unpacked: int


def architecture() -> str:
    """This machine's, as images name it."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def write(target: Path, reference: str, directory: Path, settings: dict[str, Any]) -> None:
    """Write an image of one layer, the directory's content; `settings` are the image's (Entrypoint, Env, ...)."""
    layer = _layer(directory)
    configuration = {
        "architecture": architecture(),
        "os": "linux",
        "config": settings,
        "created": CREATED,
        "history": [{"created": CREATED, "created_by": "e2e.cluster"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    encoded = json.dumps(configuration).encode()
    name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]}]
    temporary = target.with_name(f".{target.name}")
    with tarfile.open(temporary, "w") as out:
        for path, content in ((name, encoded), ("layer.tar", layer), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    temporary.replace(target)


def size(path: Path, known: dict[str, list[int]]) -> Size:
    """Measure the layers of an archive, compressed or not.

    `known` saves packing a layer again to see how small it gets: sizes by layer name, where that is a digest of the
    content. What is measured here is added to it.
    """
    sizes = []
    with tarfile.open(path) as archive:
        for name in _layers(archive):
            file = archive.extractfile(name)
            if file is None:
                raise ValueError(f"{path}: {name} is no file")
            measured = known.get(name) or _measure(file)
            sizes.append(measured)
            if DIGEST.search(name):
                known[name] = measured
    return Size(compressed=sum(packed for packed, _ in sizes), unpacked=sum(plain for _, plain in sizes))


def _layer(directory: Path) -> bytes:
    """The directory as a tar: everything root's, sorted, of one time, so that equal directories give equal images."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for path in sorted(directory.rglob("*")):
            member = out.gettarinfo(path, arcname=str(path.relative_to(directory)))
            member.uid = member.gid = member.mtime = 0
            member.uname = member.gname = ""
            if member.isreg():
                with path.open("rb") as content:
                    out.addfile(member, content)
            else:
                out.addfile(member)
    return buffer.getvalue()


def _layers(archive: tarfile.TarFile) -> list[str]:
    """The paths of the layers: by Docker's manifest.json, else by an OCI index."""
    names = {member.name for member in archive}
    if "manifest.json" in names:
        layers: list[str] = _json(archive, "manifest.json")[0]["Layers"]
        return layers
    document = _json(archive, "index.json")
    while "manifests" in document:
        document = _json(archive, _blob(document["manifests"][0]["digest"]))
    return [_blob(layer["digest"]) for layer in document["layers"]]


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    return json.load(file) if file else None


def _measure(file: IO[bytes]) -> list[int]:
    """The layer's sizes, compressed (as gzip does by default) and not."""
    magic = file.read(2)
    file.seek(0)
    if magic == GZIP_MAGIC:
        packed = file.seek(0, io.SEEK_END)
        file.seek(0)
        return [packed, sum(map(len, _chunks(gzip.open(file))))]
    packer, packed, plain = zlib.compressobj(6), 0, 0
    for chunk in _chunks(file):
        packed, plain = packed + len(packer.compress(chunk)), plain + len(chunk)
    return [packed + len(packer.flush()), plain]


def _chunks(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
