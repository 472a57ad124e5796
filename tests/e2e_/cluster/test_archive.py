from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from pathlib import Path

import pytest

from e2e.cluster import archive
from e2e.cluster.archive import Size


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "tool").write_bytes(b"\x7fELF" + b"\0" * 5000)
    (directory / "bin" / "tool").chmod(0o755)
    (directory / "bin" / "sh").symlink_to("tool")
    return directory


def _add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    out.addfile(member, io.BytesIO(content))


def test_an_image_holds_the_directory_as_roots(root: Path, tmp_path: Path) -> None:
    archive.write(tmp_path / "image.tar", "localhost/x:1", root, {"Entrypoint": ["/bin/tool"]})
    image = tarfile.open(tmp_path / "image.tar")  # noqa: SIM115  # closed below, after what is inside
    with image, tarfile.open(fileobj=image.extractfile("layer.tar")) as layer:
        members = {member.name: member for member in layer}
    assert list(members) == ["bin", "bin/sh", "bin/tool"]
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in members.values()} == {(0, 0, "", 0)}
    assert members["bin/tool"].mode & 0o111
    assert members["bin/sh"].linkname == "tool"


def test_the_manifest_names_the_image_and_its_parts_by_their_digests(root: Path, tmp_path: Path) -> None:
    archive.write(tmp_path / "image.tar", "localhost/x:1", root, {"Entrypoint": ["/bin/tool"]})
    with tarfile.open(tmp_path / "image.tar") as image:
        parts = {member.name: (image.extractfile(member) or io.BytesIO()).read() for member in image}
    [manifest] = json.loads(parts["manifest.json"])
    configuration = json.loads(parts[manifest["Config"]])
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert manifest["Config"] == hashlib.sha256(parts[manifest["Config"]]).hexdigest() + ".json"
    assert configuration["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(parts["layer.tar"]).hexdigest()]
    assert configuration["config"] == {"Entrypoint": ["/bin/tool"]}
    assert len(configuration["history"]) == 1


def test_equal_directories_make_equal_images(root: Path, tmp_path: Path) -> None:
    archive.write(tmp_path / "1.tar", "localhost/x:1", root, {})
    (root / "bin" / "tool").touch()
    archive.write(tmp_path / "2.tar", "localhost/x:1", root, {})
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_a_layer_is_measured_as_it_is_and_as_a_registry_would_keep_it(root: Path, tmp_path: Path) -> None:
    archive.write(tmp_path / "image.tar", "localhost/x:1", root, {})
    with tarfile.open(tmp_path / "image.tar") as image:
        plain = image.getmember("layer.tar").size
    size = archive.size(tmp_path / "image.tar", {})
    assert size.unpacked == plain
    assert 100 < size.compressed < plain / 10


def test_compressed_layers_of_an_oci_archive_are_measured_too(tmp_path: Path) -> None:
    layer = gzip.compress(b"x" * 10_000)
    digest = hashlib.sha256(layer).hexdigest()
    manifest = json.dumps({"layers": [{"digest": f"sha256:{digest}"}]}).encode()
    index = {"manifests": [{"digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}"}]}
    with tarfile.open(tmp_path / "image.tar", "w") as out:
        _add(out, f"blobs/sha256/{digest}", layer)
        _add(out, f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}", manifest)
        _add(out, "index.json", json.dumps(index).encode())
    assert archive.size(tmp_path / "image.tar", {}) == Size(compressed=len(layer), unpacked=10_000)


def test_a_layer_that_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    name = f"{'a' * 64}.tar"
    with tarfile.open(tmp_path / "image.tar", "w") as out:
        _add(out, name, b"y" * 5000)
        _add(out, "plain.tar", b"z" * 3000)
        _add(out, "manifest.json", json.dumps([{"Layers": [name, "plain.tar"]}]).encode())
    known: dict[str, list[int]] = {}
    first = archive.size(tmp_path / "image.tar", known)
    assert list(known) == [name]
    known[name] = [7, 70]
    again = archive.size(tmp_path / "image.tar", known)
    assert again == Size(first.compressed - _packed(b"y" * 5000) + 7, 3070)


def _packed(content: bytes) -> int:
    packer = zlib.compressobj(6)
    return len(packer.compress(content)) + len(packer.flush())
