"""What the images are made of: pinned, hashed, few, and written down."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from pathlib import Path

import pytest

from tools.bill import IMAGES, bill, pins, project

ROOT = Path(__file__).parents[2]
LOCKS = ("operator", "sidecar", "dev")
MOST = 40
"""Packages of an image."""

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_and_has_hashes(name: str) -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", "\n" + "\n".join(one for one in lock(name).splitlines() if one[:1] != "#"))[1:]
    assert len(blocks) == len(pins(lock(name)))
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


@pytest.mark.parametrize("image", IMAGES)
def test_the_images_have_few_packages_of_the_versions_that_were_tested(image: str) -> None:
    found, tested = pins(lock(image)), pins(lock("dev"))
    assert len(found) <= MOST
    assert found.items() <= tested.items()


@pytest.mark.parametrize("image", IMAGES)
def test_the_lock_holds_what_the_project_asks_for(image: str) -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*asked["dependencies"], *asked["optional-dependencies"][image]]
    assert {re.split(r"[\[>=<]", one)[0] for one in wanted} <= pins(lock(image)).keys()


def test_images_install_by_hash_and_fetch_nothing_else() -> None:
    commands = re.findall(r"^RUN .*?(?<!\\)$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    installing = [
        one
        for one in commands
        if "pip install" in one.replace("/opt/pip/bin/pip --python", "pip --python") or " install " in one
    ]
    assert len(installing) == len(IMAGES)
    for one in installing:
        assert "--require-hashes" in one
        assert "--no-deps" in one
        assert "--only-binary :all:" in one
    assert not re.findall(r"\b(?:curl|wget|apt-get|git|ADD)\b", DOCKERFILE)


def test_no_package_runs_code_at_every_start() -> None:
    """A `.pth` file may hold a line of Python that each interpreter runs; ours is the only one, and holds a path."""
    names = pins(lock("operator")).keys() | pins(lock("sidecar")).keys()
    files = {one.name: one.files or () for one in importlib.metadata.distributions() if one.name.lower() in names}
    assert len(files) > MOST // 2
    assert not [(name, file) for name, found in files.items() for file in found if str(file).endswith(".pth")]
    assert re.findall(r"^ && echo (\S+) > .*\.pth", DOCKERFILE, re.MULTILINE) == ["/opt/llmops/app"] * len(IMAGES)


def test_a_pin_has_its_version_and_its_marker() -> None:
    text = "# by uv\na-b==1.0 \\\n    --hash=sha256:x\n    # via c\n"
    text += "d==2 ; sys_platform == 'win32' \\\n    --hash=sha256:y\n"
    assert pins(text) == {"a-b": ("1.0", ""), "d": ("2", "sys_platform == 'win32'")}
    assert tomllib.loads(project("x", pins(text), ["e"])) == {
        "project": {
            "name": "llmops-x",
            "version": "0",
            "requires-python": ">=3.11",
            "dependencies": ["a-b==1.0", "d==2 ; sys_platform == 'win32'"],
        },
        "tool": {"uv": {"exclude-dependencies": ["e"]}},
    }


def test_a_bill_has_every_package_with_hashes_and_what_it_needs() -> None:
    made = json.loads(bill("sidecar"))
    assert made["bomFormat"] == "CycloneDX"
    for one in made["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        hashes = [digest["alg"] for file in one["externalReferences"] for digest in file.get("hashes", ())]
        assert "SHA-256" in hashes, one["name"]
    needs = {one["ref"].split("-")[0]: one.get("dependsOn", []) for one in made["dependencies"]}
    assert any(one.startswith("frozenlist") for one in needs["aiohttp"])
