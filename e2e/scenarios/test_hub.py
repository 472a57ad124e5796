"""A model from a hub: an init container fetches the pinned commit, the engine serves exactly that."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.kit.environment import Environment
from e2e.kit.install import install
from e2e.kit.kube import Document, Kube, condition, is_true
from e2e.kit.samples import deployment
from e2e.kit.service import ask, client, reach
from e2e.kit.wait import until

pytestmark = pytest.mark.cluster
HUB = Path(__file__).parents[2] / "tests" / "support" / "hub.py"
TOKEN = "hub-token-of-the-scenario"
REPOSITORY = "acme/answers"
FILES = {
    "config.json": '{"model_type": "word_ngram"}',
    "corpus.txt": "Where are you from? From the hub, at a pinned commit.\n",
    "model.safetensors": "weights",
    "pickled.bin": "must stay behind",
}


@dataclass(frozen=True)
class Hub:
    """A running hub as pods reach it."""

    url: str
    commit: str


@pytest.fixture(scope="module")
def hub(kube: Kube, environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    if not environment.reaches_services:
        pytest.skip("the pods of a remote cluster do not reach a hub on this machine")
    folder = tmp_path_factory.mktemp("hub")
    for name, content in FILES.items():
        path = folder / REPOSITORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    command = [sys.executable, str(HUB), "--root", str(folder), "--host", node_address(kube), "--token", TOKEN]
    with subprocess.Popen(
        [*command, "--port", "0", "--storage-port", "0"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            install(kube, environment, f"hubUrl={said['url']}")
            yield Hub(said["url"], said["repositories"][REPOSITORY])
        finally:
            server.terminate()
            install(kube, environment)


def node_address(kube: Kube) -> str:
    """The real node's address: where pods reach this process."""
    nodes = [one for one in kube.list("Node") if "kwok.x-k8s.io/node" not in one["metadata"].get("annotations", {})]
    addresses = {one["type"]: one["address"] for one in nodes[0]["status"]["addresses"]}
    return str(addresses["InternalIP"])


def fetched(namespace: str, environment: Environment, commit: str, name: str) -> Document:
    source = {"repository": REPOSITORY, "revision": commit, "tokenSecretRef": {"name": "hub", "key": "token"}}
    document = deployment(namespace, environment.images, name)
    document["spec"]["model"]["source"] = {"huggingFace": source}
    return document


@pytest.fixture(scope="module")
def secret(kube: Kube, namespace: str) -> None:
    metadata = {"name": "hub", "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}})


@pytest.mark.usefixtures("secret")
def test_the_pinned_commit_is_served(kube: Kube, environment: Environment, namespace: str, hub: Hub) -> None:
    kube.apply(fetched(namespace, environment, hub.commit, "fetched"))
    until("Ready", lambda: is_true(kube.get("LLMDeployment", "fetched", namespace), "Ready"), 60)
    with reach(environment, namespace, "fetched") as url:
        assert "pinned commit" in ask(client(url), "Where are you from?", max_tokens=20)
    logs = kube.kubectl("logs", "-n", namespace, "deployment/fetched", "--container", "fetch-model")
    assert f"complete: {len(FILES) - 1} of {len(FILES) - 1} files" in logs
    assert TOKEN not in logs
    kube.delete("LLMDeployment", "fetched", namespace)


@pytest.mark.usefixtures("secret")
def test_a_commit_that_is_not_there_is_told_in_the_status(
    kube: Kube, environment: Environment, namespace: str, hub: Hub
) -> None:
    assert hub.commit != "0" * 40
    kube.apply(fetched(namespace, environment, "0" * 40, "absent"))
    until("the fetcher's words in the status", lambda: REPOSITORY in ready_message(kube, namespace, "absent"), 60)
    kube.delete("LLMDeployment", "absent", namespace)


def ready_message(kube: Kube, namespace: str, name: str) -> str:
    found = condition(kube.get("LLMDeployment", name, namespace), "Ready")
    return found["message"] if found else ""
