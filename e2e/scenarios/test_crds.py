"""The real API server accepts every example, refuses every bad spec in words, and serves what kubectl shows."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.kit.install import install_resources
from e2e.kit.kube import Document, Kube, RefusedError, condition, documents
from e2e.kit.wait import until
from tests.operator_.api.bad import BAD, UNKNOWN_FIELDS

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
ABOVE_BY_ONE = 2


@pytest.fixture(scope="module")
def space(bare: Kube) -> Iterator[str]:
    install_resources(bare)
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        (crd,) = documents(path)
        until("established", lambda crd=crd: established(bare, crd), 30)  # type: ignore[misc]
    with bare.namespace(f"crds-{secrets.token_hex(3)}") as name:
        until("the resources are served", lambda: bare.list("LLMDeployment", name) == [], 30)
        yield name


def established(kube: Kube, crd: Document) -> bool:
    found = condition(kube.get("CustomResourceDefinition", crd["metadata"]["name"]), "Established")
    return found is not None and found["status"] == "True"


def spoken(kind: str, spec: Document, namespace: str) -> Document:
    metadata = {"name": "one", "namespace": namespace}
    return {"apiVersion": "llmops.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("path", EXAMPLES, ids=[str(path.relative_to(ROOT)) for path in EXAMPLES])
def test_an_example_is_accepted_as_it_is(bare: Kube, space: str, path: Path) -> None:
    shown = bare.kubectl("apply", "--namespace", space, "--dry-run=server", "--validate=strict", "-f", str(path))
    assert "(server dry run)" in shown


@pytest.mark.parametrize(("kind", "spec", "words"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_bad_spec_is_refused_in_words(bare: Kube, space: str, kind: str, spec: Document, words: str) -> None:
    with pytest.raises(RefusedError) as refused:
        bare.apply(spoken(kind, spec, space))
    assert words in str(refused.value)
    assert bare.get(kind, "one", space) is None


@pytest.mark.parametrize(
    ("kind", "spec", "words"), [row[1:] for row in UNKNOWN_FIELDS], ids=[row[0] for row in UNKNOWN_FIELDS]
)
def test_kubectl_names_an_unknown_field(bare: Kube, space: str, kind: str, spec: Document, words: str) -> None:
    document = str(spoken(kind, spec, space)).replace("'", '"')
    with pytest.raises(RuntimeError, match=f'unknown field ".*{words}"'):
        bare.kubectl("apply", "--dry-run=server", "-f", "-", stdin=document)


def test_defaults_come_from_the_schema(bare: Kube, space: str) -> None:
    made = bare.apply(
        spoken("LLMDeployment", {"model": {"name": "m"}, "engine": {"modelRepository": {"image": "t:1"}}}, space)
    )
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["engine"]["modelRepository"]["path"] == "/models"
    bare.delete("LLMDeployment", "one", space)


def test_scale_changes_the_replicas(bare: Kube, space: str) -> None:
    bare.apply(
        spoken("LLMDeployment", {"model": {"name": "m"}, "engine": {"modelRepository": {"image": "t:1"}}}, space)
    )
    bare.kubectl("scale", "--namespace", space, "llmd/one", f"--replicas={ABOVE_BY_ONE}")
    assert (bare.get("LLMDeployment", "one", space) or {})["spec"]["replicas"] == ABOVE_BY_ONE
    bare.delete("LLMDeployment", "one", space)


def test_a_long_name_is_refused(bare: Kube, space: str) -> None:
    document = spoken("GuardPolicy", {}, space)
    document["metadata"]["name"] = "a" * 51
    with pytest.raises(RefusedError, match=r"metadata\.name"):
        bare.apply(document)


def test_kubectl_explains_every_field(bare: Kube, space: str) -> None:
    assert space
    shown = bare.kubectl("explain", "llmdeployment.spec.engine.tensorRTLLM")
    assert "GPUs that share each layer" in shown
