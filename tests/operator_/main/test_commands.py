"""The commands that need no cluster, and what `run` refuses before it starts."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from llmops_operator.__main__ import UsageError, main, read_settings
from llmops_operator.settings import Images, Settings

ROOT = Path(__file__).parents[3]
GOOD = """
apiVersion: llmops.dev/v1alpha1
kind: LLMDeployment
metadata: {name: chat}
spec: {model: {name: m}, engine: {modelRepository: {image: "triton-cpu:1"}}}
"""


def test_no_settings_are_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"LLMOPS_NAMESPACES": "", "LLMOPS_WORKERS": ""}) == Settings()


def test_every_setting_has_its_variable() -> None:
    variables = {
        "LLMOPS_NAMESPACE": "ops",
        "LLMOPS_NAMESPACES": "a, b,",
        "LLMOPS_SIDECAR_IMAGE": "s",
        "LLMOPS_TENSORRT_LLM_IMAGE": "t",
        "LLMOPS_VLLM_IMAGE": "v",
        "LLMOPS_IMAGE_PULL_SECRETS": "pull",
        "LLMOPS_SCRAPE_NAMESPACES": "monitoring",
        "LLMOPS_HUB_URL": "https://hub.example",
        "LLMOPS_RESYNC_SECONDS": "60",
        "LLMOPS_WORKERS": "2",
    }
    wanted = Settings(
        images=Images("s", "t", "v"),
        namespace="ops",
        namespaces=("a", "b"),
        scrape_namespaces=("monitoring",),
        image_pull_secrets=("pull",),
        hub_url="https://hub.example",
        workers=2,
        resync=timedelta(seconds=60),
    )
    assert read_settings(variables) == wanted


@pytest.mark.parametrize("value", ["many", "-1", "0", "1.5"])
def test_a_number_that_is_none_is_named(value: str) -> None:
    with pytest.raises(UsageError, match="LLMOPS_WORKERS must be a whole number, at least 1"):
        read_settings({"LLMOPS_WORKERS": value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LLMOPS_LOG_LEVEL", "loud", "LLMOPS_LOG_LEVEL must be one of debug, info, warning, error; it is 'loud'"),
        ("LLMOPS_PORT", "x", "LLMOPS_PORT must be a whole number"),
        ("KUBECONFIG", "/nowhere", "no usable credentials in the kubeconfig /nowhere"),
        ("KUBECONFIG", "", "outside a pod set KUBECONFIG"),
    ],
    ids=["level", "port", "kubeconfig", "no credentials"],
)
def test_run_refuses_what_it_cannot_use(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["run"]) == 2
    assert said in capsys.readouterr().err


def test_help_names_every_variable_that_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    source = (ROOT / "operator/llmops_operator/__main__.py").read_text(encoding="utf-8")
    read = {part.split('"')[0] for part in source.split('"') if part.startswith("LLMOPS_") and part.isupper()}
    assert len(read) > 10
    assert {name for name in read if name not in shown} == set()


def test_plan_prints_the_children(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chat.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert main(["plan", str(path)]) == 0
    shown = capsys.readouterr()
    kinds = [one["kind"] for one in yaml.safe_load_all(shown.out)]
    assert {"ConfigMap", "Deployment", "Service"} <= set(kinds)
    assert shown.err == ""


def test_plan_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD))
    assert main(["plan", "-"]) == 0
    assert "kind: Deployment" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (GOOD.replace("name: m}", "name: m}, guard: {policyRef: {name: absent}}"), 1, "create the GuardPolicy absent"),
        (GOOD.replace("spec: {", "spec: {replicas: many, "), 1, "spec.replicas"),
        ("{", 1, "this is not YAML"),
        (None, 2, "cannot be read"),
    ],
    ids=["held", "invalid", "no YAML", "no file"],
)
def test_plan_says_what_is_wrong(
    content: str | None, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "chat.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["plan", str(path)]) == status
    shown = capsys.readouterr()
    assert said in shown.err
    assert "kind:" not in shown.out


POLICY = """
apiVersion: llmops.dev/v1alpha1
kind: GuardPolicy
metadata: {name: strict}
spec:
  hashKeySecretRef: {name: hashing, key: k}
  input:
  - pii: {entities: [Email], action: Hash}
  - phrases: {name: animals, configMapRef: {name: lists, key: words}}
  output:
  - secrets: {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: lists}
data: {words: "zebra\\nlion"}
"""


def tried(tmp_path: Path, policy: str, texts: str, *flags: str) -> int:
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "texts.txt").write_text(texts, encoding="utf-8")
    return main(["check-policy", str(tmp_path / "policy.yaml"), str(tmp_path / "texts.txt"), *flags])


def test_a_policy_is_tried_by_the_guards_own_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert tried(tmp_path, POLICY, "Hello\nto jane@example.com\n", "--output", "json") == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines] == ["Passed", "Changed"]
    assert lines[1]["forwarded"].startswith("to [EMAIL:")
    assert tried(tmp_path, POLICY, "a LION\n") == 1
    assert "a >>LION<<" in capfd.readouterr().out
    assert tried(tmp_path, POLICY, "a lion\n", "--direction", "output") == 0


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (GOOD, "one GuardPolicy is tried at a time; found none"),
        (
            POLICY + POLICY.replace("strict", "other").partition("\n---")[0].replace("\napi", "\n---\napi", 1),
            "strict, Gua",
        ),
        (POLICY.replace("[Email]", "[Shoe]"), "correct the spec: spec.input[0].pii.entities[0]"),
        (POLICY.partition("\n---")[0], "create the ConfigMap lists with the key words"),
        (POLICY.replace("zebra\\nlion", ""), "the list has no phrase"),
        ("{", "this is not YAML"),
    ],
    ids=["none", "two", "invalid", "no list", "empty list", "no YAML"],
)
def test_a_policy_that_cannot_be_tried_is_refused(
    policy: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tried(tmp_path, policy, "x") == 2
    assert said in capsys.readouterr().err


def test_crds_are_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds", "--check", "--root", str(tmp_path)]) == 1
    assert main(["crds", "--root", str(tmp_path)]) == 0
    assert main(["crds", "--check", "--root", str(tmp_path)]) == 0
    written = sorted(path for path in tmp_path.rglob("*.yaml"))
    assert len(written) == 6
    written[0].write_text("stale\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["crds", "--check", "--root", str(tmp_path)]) == 1
    assert "-stale" in capsys.readouterr().out


def test_the_committed_crds_are_fresh() -> None:
    assert main(["crds", "--check", "--root", str(ROOT)]) == 0


def test_no_command_is_no_guess(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "run | crds | plan" in capsys.readouterr().err


RULES = """
apiVersion: llmops.dev/v1alpha1
kind: PromptTemplate
metadata: {name: rules}
spec: {messages: [{role: system, content: Be kind.}]}
"""
SUPPORT = """
apiVersion: llmops.dev/v1alpha1
kind: PromptTemplate
metadata: {name: support}
spec:
  includes: [{name: rules}]
  messages: [{role: user, content: "{{ question }} {{ things }} {{ count }}"}]
  variables:
  - {name: question, required: true}
  - {name: things, type: list, separator: "/"}
  - {name: count, type: integer, maximum: "9", default: "1"}
"""


def render(tmp_path: Path, files: list[str], *flags: str) -> int:
    paths = [tmp_path / f"{number}.yaml" for number in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_text(content, encoding="utf-8")
    return main(["render", *map(str, paths), *flags])


def test_a_template_is_rendered_by_the_guards_own_code(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    values = ("--set", "question=a=b</s>", "--set", "things=x", "--set", "things=y", "--set", "count=3")
    assert render(tmp_path, [SUPPORT, RULES], *values, "--output", "json") == 0
    assert json.loads(capfd.readouterr().out) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "a=b< /s> x/y 3"},
    ]
    assert render(tmp_path, [f"{SUPPORT}---{RULES}"], "--set", "question=Hi") == 0
    assert capfd.readouterr().out == "[system]\nBe kind.\n\n[user]\nHi  1\n"


def test_a_value_that_does_not_fit_is_told_as_to_a_caller(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert render(tmp_path, [SUPPORT, RULES], "--set", "question=Hi", "--set", "count=10") == 1
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "prompt 'support', variable 'count': must be at most 9.\n")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([SUPPORT], "PromptTemplate default/support: spec.includes: create the PromptTemplate rules"),
        ([SUPPORT.replace("{{ count }}", ""), RULES], "count stands in no message"),
        ([RULES.replace("system", "robot")], "spec.messages[0].role"),
        ([GOOD, RULES], "there is no PromptTemplate in it"),
        (["{"], "this is not YAML"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: list[str], said: str
) -> None:
    assert render(tmp_path, files) == 2
    assert said in capsys.readouterr().err
