from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from e2e.cluster import debian, images
from e2e.cluster.archive import Size
from e2e.cluster.builders import Buildah, Docker, Recipe
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import Image, Target
from e2e.cluster.settings import ROOT, Settings

TARGET = Target(name="x", inputs=("code", "lock.txt"), bases=("RUNTIME_BASE",))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "code" / "below").mkdir(parents=True)
    for name in ("Dockerfile", "lock.txt", "code/a.py", "code/below/b.py"):
        (root / name).write_text(name)
    return root


def _digest(root: Path, target: Target = TARGET) -> str:
    return images.digest(target, Docker(), root)


def test_equal_sources_have_one_digest(checkout: Path) -> None:
    first = _digest(checkout)
    assert len(first) == 12
    (checkout / "code" / "a.py").touch()
    (checkout / "code" / "__pycache__").mkdir()
    (checkout / "code" / "__pycache__" / "a.pyc").touch()
    (checkout / "README").touch()
    assert _digest(checkout) == first


@pytest.mark.parametrize("name", ["Dockerfile", "lock.txt", "code/a.py", "code/below/b.py", "code/new.py"])
def test_a_change_of_any_input_changes_the_digest(checkout: Path, name: str) -> None:
    before = _digest(checkout)
    (checkout / name).write_text("changed")
    assert _digest(checkout) != before


def test_a_new_name_or_mode_or_base_changes_the_digest(checkout: Path) -> None:
    digests = {_digest(checkout), images.digest(TARGET, Buildah(Settings(checkout, checkout, "a", 0)), checkout)}
    (checkout / "lock.txt").chmod(0o755)
    digests.add(_digest(checkout))
    (checkout / "code" / "a.py").rename(checkout / "code" / "c.py")
    digests.add(_digest(checkout))
    assert len(digests) == (4 if debian.available() else 3)


def test_a_missing_input_is_named(checkout: Path) -> None:
    (checkout / "lock.txt").unlink()
    with pytest.raises(ClusterError, match=r"an image needs .*lock.txt: it is missing"):
        _digest(checkout)


@pytest.mark.parametrize("target", images.TARGETS.values(), ids=lambda target: target.name)
def test_what_a_target_is_made_of_is_in_the_checkout(target: Target) -> None:
    assert (ROOT / target.dockerfile).is_file()
    assert all((ROOT / item).exists() for item in (target.context, *target.inputs))
    text = (ROOT / target.dockerfile).read_text(encoding="utf-8")
    assert all(f"ARG {base}=" in text for base in target.bases)
    assert target.stage is None or f" AS {target.stage}\n" in text


DOCKER = """#!{python}
import io, pathlib, sys, tarfile
pathlib.Path({calls!r}).open("a").write(" ".join(sys.argv[1:]) + chr(10))
if sys.argv[1] == "save":
    with tarfile.open(sys.argv[3], "w") as out:
        for name, content in (("layer.tar", b"a" * 9), ("manifest.json", b'[{{"Layers": ["layer.tar"]}}]')):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has a Docker engine and no buildah; the engine's calls are lines of this file."""
    directory = tmp_path / "docker"
    directory.mkdir()
    (directory / "docker").write_text(DOCKER.format(python=sys.executable, calls=str(directory / "calls")))
    (directory / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    return directory / "calls"


def _builds(calls: Path) -> int:
    return sum(line.startswith("build ") for line in calls.read_text().splitlines())


def test_an_image_is_built_once_and_found_again(docker: Path, settings: Settings) -> None:
    [first] = images.build(settings, ["model-data"])
    [again] = images.build(settings, ["model-data"])
    assert first == again == images.find(settings, "model-data")
    assert _builds(docker) == 1
    assert first.reference == f"localhost/llmops-model-data:{first.archive.stem[-12:]}"
    assert first.size.unpacked == 9


def test_a_lost_archive_is_built_again(docker: Path, settings: Settings) -> None:
    [first] = images.build(settings, ["model-data"])
    first.archive.unlink()
    with pytest.raises(
        ClusterError, match=r"not built from the current sources: `python3 -m e2e.cluster image model-data`"
    ):
        images.find(settings, "model-data")
    images.build(settings, ["model-data"])
    assert _builds(docker) == 2


def test_old_archives_of_an_image_go_and_those_of_others_stay(docker: Path, settings: Settings) -> None:
    settings.images.mkdir(parents=True)
    for age in range(4):
        for name in (f"model-data-{age:012x}", f"model-data-more-{age:012x}"):
            for suffix in (".tar", ".json"):
                path = settings.images / f"{name}{suffix}"
                path.touch()
                os.utime(path, (1000 - age, 1000 - age))
    [built] = images.build(settings, ["model-data"])
    kept = sorted(path.name for path in settings.images.glob("model-data-????????????.*"))
    expected = [f"model-data-{age:012x}{suffix}" for age in (0, 1) for suffix in (".json", ".tar")]
    assert kept == sorted([*expected, built.archive.name, built.archive.with_suffix(".json").name])
    assert len(list(settings.images.glob("model-data-more-*"))) == 8
    assert _builds(docker) == 1


def test_an_unknown_image_is_refused_with_the_known_ones(docker: Path, settings: Settings) -> None:
    with pytest.raises(
        ClusterError,
        match="no image is called 'triton': there are operator, sidecar, triton-cpu, model-data, names-model",
    ):
        images.build(settings, ["operator", "triton"])
    assert not docker.exists()


def test_the_table_gives_both_sizes() -> None:
    image = Image("operator", "localhost/llmops-operator:0", Path("/x"), Size(37_900_000, 211_300_000))
    assert images.table([image]).splitlines() == [
        "IMAGE     COMPRESSED  UNPACKED  REFERENCE",
        "operator  37.9 MB     211.3 MB  localhost/llmops-operator:0",
    ]


PROGRAM = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case "$*" in
*" inspect "*) exit 1;;
*broken*) i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; done; exit 3;;
*docker-archive:*.tar:*) last=${*##* docker-archive:}; touch "${last%%:*}";;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that write down how they are called; buildah's comes through `unshare`."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in ("unshare", "docker"):
        (directory / name).write_text(PROGRAM)
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory / "calls"


def _recipe(tmp_path: Path, stage: str | None, *bases: str) -> Recipe:
    return Recipe(tmp_path / "Dockerfile", tmp_path, stage, "localhost/x:1", bases)


def test_buildah_never_touches_the_machines_network_or_mounts(calls: Path, settings: Settings, tmp_path: Path) -> None:
    Buildah(settings).build(_recipe(tmp_path, "operator"), tmp_path / "x.tar")
    build, push = calls.read_text().splitlines()
    assert build.startswith("--mount --propagation=private buildah --root ")
    assert "--isolation chroot --network host --layers" in build
    assert "--target operator" in build
    assert f" push --quiet localhost/x:1 docker-archive:{tmp_path}/x.tar:localhost/x:1" in push
    assert str(settings.cache) in build


def test_pip_inside_the_build_trusts_what_the_machine_trusts(
    calls: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "bundle.crt"
    bundle.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    Buildah(settings).build(_recipe(tmp_path, None), tmp_path / "x.tar")
    build = calls.read_text().splitlines()[0]
    assert f"--volume {bundle}:/run/ca.crt:ro --volume " in build
    assert "/pip.conf:/etc/pip.conf:ro" in build
    assert "--target" not in build


def test_a_failed_build_gives_its_last_words(calls: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ClusterError) as refused:
        Buildah(settings).build(_recipe(tmp_path, "broken"), tmp_path / "x.tar")
    lines = str(refused.value).splitlines()
    assert lines[0].endswith("failed; its last words:")
    assert (lines[1], lines[-1]) == ("line 16", "line 40")
    assert calls.exists()


def test_docker_builds_saves_and_pushes(calls: Path, tmp_path: Path) -> None:
    Docker().build(_recipe(tmp_path, "sidecar", "BUILD_BASE"), tmp_path / "x.tar")
    Docker().push(tmp_path / "x.tar", "localhost/x:1", "registry.example/x:1")
    assert calls.read_text().splitlines() == [
        f"build -f {tmp_path}/Dockerfile -t localhost/x:1 --target sidecar {tmp_path}",
        f"save -o {tmp_path}/x.tar localhost/x:1",
        f"load -q -i {tmp_path}/x.tar",
        "tag localhost/x:1 registry.example/x:1",
        "push -q registry.example/x:1",
    ]


def test_buildah_pushes_what_the_archive_holds(calls: Path, settings: Settings, tmp_path: Path) -> None:
    Buildah(settings).push(tmp_path / "x.tar", "localhost/x:1", "registry.example/x:1")
    pull, push = calls.read_text().splitlines()
    assert pull.endswith(f"pull --quiet docker-archive:{tmp_path}/x.tar")
    assert push.endswith("push --quiet localhost/x:1 docker://registry.example/x:1")


def test_the_dockerfile_needs_no_buildkit() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "<<" not in text
    assert "--link" not in text
    assert "--mount" not in text
    assert text.count("USER 65532:65532") == 2


def test_only_the_base_to_build_on_has_a_shell() -> None:
    bases = debian.BASES
    assert {name for name, base in bases.items() if base.has_shell} == {"BUILD_BASE", "TRITON_BASE"}
    assert "busybox-static" not in bases["RUNTIME_BASE"].packages
    assert len({base.reference for base in bases.values()}) == len(bases)
    assert all(base.reference.startswith("localhost/") for base in bases.values())


def test_a_record_of_sizes_is_kept_beside_the_archives(docker: Path, settings: Settings) -> None:
    [built] = images.build(settings, ["model-data"])
    record = json.loads(built.archive.with_suffix(".json").read_text(encoding="utf-8"))
    assert Size(**record) == built.size
    assert _builds(docker) == 1
