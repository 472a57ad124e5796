from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from bench.gateway import everything
from bench.gateway.contenders import EVERYTHING, NOTHING, Place, crabllm, direct, litellm, ours, portkey
from bench.gateway.install import LOCKS, InstallError, once, run
from llmops_sidecars.contract import OpenAIEngine, decode, encode
from llmops_sidecars.guard.serving import build

ENGINE = OpenAIEngine("http://127.0.0.1:9/v1", "bench")


def test_everything_on_has_every_rule_of_the_contract_both_ways_or_says_why_not() -> None:
    policy = everything.everything_on(ENGINE).configurations[0].policy
    known = {everything.name(kind) for kind in everything.kinds()}
    for rules, others in ((policy.input, ()), (policy.output, everything.PROMPTS_ALONE)):
        assert {everything.name(type(rule)) for rule in rules} | {*everything.LEFT_OUT, *others} == known
    assert all(everything.LEFT_OUT.values())


def test_both_contracts_are_ones_that_the_sidecars_accept() -> None:
    for contract in (everything.nothing_on(ENGINE), everything.everything_on(ENGINE)):
        assert build(decode(encode(contract))).contract == contract


def test_nothing_on_has_no_rule_and_no_cache() -> None:
    configuration = everything.nothing_on(ENGINE).configurations[0]
    assert (configuration.policy.input, configuration.policy.output, configuration.cache.ttl_seconds) == ((), (), 0.0)


def test_this_project_runs_as_a_pod_and_as_one_process_with_nothing_and_with_everything(tmp_path: Path) -> None:
    made = ours.make(Place("http://127.0.0.1:9", tmp_path)).contenders
    assert [(one.name, len(one.programs)) for one in made] == [
        ("pods-nothing", 2),
        ("pods-everything", 2),
        ("serve-nothing", 1),
        ("serve-everything", 1),
    ]
    assert len({one.url for one in made}) == 4


def test_litellm_filters_both_ways_only_when_everything_is_on() -> None:
    plain = yaml.safe_load(litellm.configuration("http://127.0.0.1:9", NOTHING))
    full = yaml.safe_load(litellm.configuration("http://127.0.0.1:9", EVERYTHING))
    assert "guardrails" not in plain
    assert [guard["litellm_params"]["mode"] for guard in full["guardrails"]] == ["pre_call", "post_call"]
    assert full["litellm_settings"]["cache"] is True


def test_portkey_checks_both_ways_only_when_everything_is_on() -> None:
    assert "input_guardrails" not in json.loads(portkey.configuration("http://127.0.0.1:9", NOTHING))
    full = json.loads(portkey.configuration("http://127.0.0.1:9", EVERYTHING))
    assert len(full["input_guardrails"]) == len(full["output_guardrails"]) == len(portkey.RULES)


def test_portkeys_expressions_are_valid() -> None:
    for rule in portkey.RULES:
        re.compile(rule)


def test_crabllm_is_pinned() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", crabllm.VERSION)


def test_the_direct_way_is_the_upstream_itself(tmp_path: Path) -> None:
    (one,) = direct.make(Place("http://127.0.0.1:9", tmp_path)).contenders
    assert one.url == "http://127.0.0.1:9/v1"
    assert not one.programs


@pytest.mark.parametrize("path", sorted(LOCKS.glob("*.txt")), ids=lambda path: path.name)
def test_every_package_of_a_lock_has_its_hash(path: Path) -> None:
    packages = re.split(r"(?m)^(?=[a-z0-9])", path.read_text(encoding="utf-8"))[1:]
    assert packages
    assert all("--hash=sha256:" in package for package in packages)


def test_no_lock_names_a_registry() -> None:
    for path in LOCKS.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        assert "resolved" not in text
        assert "--index-url" not in text


def test_every_package_of_the_npm_lock_has_its_hash() -> None:
    packages = json.loads((LOCKS / "portkey" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert all(one.get("integrity", "").startswith("sha512-") for name, one in packages.items() if name)


def test_what_is_installed_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls: list[Path] = []

    def make(target: Path) -> None:
        calls.append(target)
        (target / "program").write_text("x", encoding="utf-8")

    first, second = once("thing", "1", make), once("thing", "1", make)
    assert first == second
    assert (first / "program").read_text(encoding="utf-8") == "x"
    assert len(calls) == 1
    assert once("thing", "2", make) != first


def test_what_cannot_be_installed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def make(target: Path) -> None:
        (target / "half").touch()
        run(["sh", "-c", "echo first; echo no such package >&2; exit 3"], target)

    with pytest.raises(InstallError, match="no such package"):
        once("thing", "1", make)
    assert [path.name for path in (tmp_path / "llmops-operator" / "bench").iterdir()] == []


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="no-such-tool is missing"):
        run(["no-such-tool"], tmp_path)
