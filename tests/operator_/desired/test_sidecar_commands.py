"""The sidecars' own parsers understand the arguments that the operator puts into pods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.desired import containers, paths
from llmops_sidecars.__main__ import ADMIN_PORT, CONTRACT, PORT, SOCKET, _parser
from llmops_sidecars.fetch.command import read_options
from tests.operator_.desired.facts import CPU, EXTERNAL, HUB, facts

SOURCE = facts(HUB).spec.model.source


def read(args: list[str]) -> dict[str, Any]:
    return vars(_parser().parse_args(args))


def test_the_guard_reads_its_arguments() -> None:
    expected = {"contract": CONTRACT, "socket": SOCKET, "port": PORT, "admin_port": ADMIN_PORT, "command": "guard"}
    assert expected.items() <= read(containers.guard(facts(CPU))["args"]).items()


def test_the_cache_reads_its_arguments() -> None:
    assert read(containers.cache(facts(CPU))["args"]) == {"command": "cache", "contract": CONTRACT, "socket": SOCKET}


def test_the_one_process_form_reads_its_arguments() -> None:
    expected = {"contract": CONTRACT, "port": PORT, "admin_port": ADMIN_PORT, "command": "serve"}
    assert expected.items() <= read(containers.serve(facts(EXTERNAL))["args"]).items()


def test_the_drain_asks_the_administration_port() -> None:
    command = containers.guard(facts(CPU))["lifecycle"]["preStop"]["exec"]["command"]
    assert command[1:3] == ["-m", "llmops_sidecars"]
    assert read(command[3:]) == {"command": "drain", "admin_port": names.ADMIN_PORT}


def test_the_fetch_reads_its_arguments(tmp_path: Path) -> None:
    assert SOURCE is not None
    assert SOURCE.hugging_face is not None
    token = tmp_path / "token"
    token.write_text("hf_x")
    args = containers.fetch(facts(HUB), SOURCE.hugging_face)["args"]
    options = read_options([one.replace(paths.CREDENTIALS_FILE, str(token)) for one in args[1:]])
    assert (options.repository, options.revision, options.target) == ("a/b", "0" * 40, Path("/model"))
    assert (options.endpoint, options.token) == ("https://huggingface.co", "hf_x")


@pytest.mark.parametrize("name", ["GUARD_PORT", "ADMIN_PORT"])
def test_both_planes_mean_the_same_ports(name: str) -> None:
    assert getattr(names, name) == {"GUARD_PORT": PORT, "ADMIN_PORT": ADMIN_PORT}[name]
