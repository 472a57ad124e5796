"""The pod template: order, probes, drain, grace, volumes, nodes."""

from __future__ import annotations

from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.desired import contract, pod
from llmops_operator.desired.volumes import shared_memory
from llmops_operator.settings import Images, Settings
from llmops_sidecars.contract import InjectionRule, NamesModel, PiiRule
from tests.operator_.desired.facts import ALL, BENCHMARK, CPU, EXTERNAL, FALLBACK, GPU, HUB, IMAGE, VLLM, facts

Document = dict[str, Any]
WITH_ENGINE = {name: spec for name, spec in ALL.items() if name not in {"external", "benchmark"}}


def spec_of(document: Document, **more: Any) -> Document:
    spec: Document = pod.template(facts(document, **more))["spec"]
    return spec


def container(document: Document, name: str) -> Document:
    spec = spec_of(document)
    return next(one for one in (*spec.get("initContainers", []), *spec["containers"]) if one["name"] == name)


@pytest.mark.parametrize(
    ("document", "first", "main"),
    [
        (CPU, ["cache", "guard"], "triton"),
        (HUB, ["fetch-model", "cache", "guard"], "triton"),
        (EXTERNAL, [], "guard"),
        (BENCHMARK, ["cache"], "guard"),
    ],
    ids=["cpu", "hub", "external", "benchmark"],
)
def test_containers_start_in_this_order(document: Document, first: list[str], main: str) -> None:
    spec = spec_of(document)
    assert [one["name"] for one in spec.get("initContainers", [])] == first
    assert [one["name"] for one in spec["containers"]] == [main]


@pytest.mark.parametrize("document", WITH_ENGINE.values(), ids=WITH_ENGINE.keys())
def test_guard_and_cache_are_native_sidecars_and_the_fetch_is_not(document: Document) -> None:
    policies = {one["name"]: one.get("restartPolicy") for one in spec_of(document)["initContainers"]}
    assert policies.pop("fetch-model", None) is None
    assert policies == {"cache": "Always", "guard": "Always"}


@pytest.mark.parametrize(
    ("document", "seconds"),
    [
        (CPU, 5 + 600 + 30 + 15),
        (CPU | {"limits": {"requestSeconds": 60}}, 5 + 60 + 30 + 15),
        (EXTERNAL, 5 + 600 + 15),
        (BENCHMARK, 5 + 600 + 15),
    ],
    ids=["default", "shorter", "external", "benchmark"],
)
def test_the_grace_period_holds_a_whole_drain(document: Document, seconds: int) -> None:
    assert spec_of(document)["terminationGracePeriodSeconds"] == seconds


def test_triton_waits_for_the_guard_to_drain_before_it_is_told_to_end() -> None:
    assert container(GPU, "triton")["lifecycle"]["preStop"]["httpGet"] == {"path": "/drained", "port": 9090}
    drain = ["/opt/llmops/bin/python", "-m", "llmops_sidecars", "drain"]
    for document in (GPU, EXTERNAL, BENCHMARK):
        assert container(document, "guard")["lifecycle"]["preStop"]["exec"]["command"] == drain


@pytest.mark.parametrize("document", ALL.values(), ids=ALL.keys())
def test_the_front_door_alone_has_ports_and_says_when_the_pod_is_ready(document: Document) -> None:
    guard = container(document, "guard")
    assert {port["name"]: port["containerPort"] for port in guard["ports"]} == {"http": 8080, "metrics": 9090}
    assert guard["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert guard["readinessProbe"]["periodSeconds"] == 1
    spec = spec_of(document)
    others = [one for one in (*spec.get("initContainers", []), *spec["containers"]) if one["name"] != "guard"]
    assert not any("ports" in one or "readinessProbe" in one for one in others)


@pytest.mark.parametrize(
    ("document", "probed"),
    [(GPU, True), (VLLM, True), (CPU, False)],
    ids=["tensorrt-llm", "vllm", "an image of the user"],
)
def test_triton_is_probed_only_where_the_image_can(*, document: Document, probed: bool) -> None:
    triton = container(document, "triton")
    assert ("startupProbe" in triton, "livenessProbe" in triton) == (probed, probed)


def test_a_benchmark_takes_the_way_of_a_pod_with_a_model() -> None:
    spec = spec_of(BENCHMARK)
    assert [one["args"][0] for one in (*spec["initContainers"], *spec["containers"])] == ["cache", "guard"]
    assert [one.get("restartPolicy") for one in (*spec["initContainers"], *spec["containers"])] == ["Always", None]
    assert {one["name"] for one in spec["volumes"]} == {"contract", "socket"}


def test_the_fallbacks_key_reaches_the_cache_alone() -> None:
    spec = spec_of(FALLBACK)
    volume = next(one for one in spec["volumes"] if one["name"] == "fallback")
    assert volume["secret"] == {
        "secretName": "other",
        "items": [{"key": "k", "path": "key"}],
        "defaultMode": 0o440,
    }
    containers = [*spec["initContainers"], *spec["containers"]]
    holders = [one["name"] for one in containers if any(m["name"] == "fallback" for m in one["volumeMounts"])]
    assert holders == ["cache"]


def test_a_provider_and_its_fallback_have_a_key_each() -> None:
    both = EXTERNAL | {"engine": EXTERNAL["engine"] | {"fallback": FALLBACK["engine"]["fallback"]}}
    mounts = {one["name"]: one["mountPath"] for one in container(both, "guard")["volumeMounts"]}
    assert mounts == {
        "contract": "/etc/llmops",
        "credentials": "/etc/llmops-credentials",
        "fallback": "/etc/llmops-fallback",
    }


def test_the_contract_is_mounted_as_a_directory() -> None:
    for document in ALL.values():
        mount = next(one for one in container(document, "guard")["volumeMounts"] if one["name"] == "contract")
        assert mount == {"name": "contract", "mountPath": "/etc/llmops", "readOnly": True}


@pytest.mark.parametrize(
    ("document", "volume", "mount"),
    [
        (
            GPU | {"model": {"name": "m", "source": {"volume": {"claimName": "c", "path": "a/b"}}}},
            {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
            {"subPath": "a/b"},
        ),
        (GPU, {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}, {}),
        (IMAGE, {"image": {"reference": "models/llama:1", "pullPolicy": "IfNotPresent"}}, {}),
        (HUB, {"emptyDir": {}}, {}),
    ],
    ids=["volume with a path", "volume", "image", "hub"],
)
def test_the_model_is_mounted_read_only(document: Document, volume: Document, mount: Document) -> None:
    found = next(one for one in spec_of(document)["volumes"] if one["name"] == "model")
    assert found == {"name": "model"} | volume
    mounted = next(one for one in container(document, "triton")["volumeMounts"] if one["name"] == "model")
    assert mounted == {"name": "model", "mountPath": "/model", "readOnly": True} | mount


def classifiers(*sources: Document) -> Document:
    return {"input": [{"injection": {"model": {**source, "memory": "512Mi"}}} for source in sources]}


@pytest.mark.parametrize(
    ("source", "volume", "mount"),
    [
        (
            {"volume": {"claimName": "c", "path": "a/b"}},
            {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}},
            {"subPath": "a/b"},
        ),
        ({"image": {"reference": "judge:1"}}, {"image": {"reference": "judge:1", "pullPolicy": "IfNotPresent"}}, {}),
    ],
    ids=["volume", "image"],
)
@pytest.mark.parametrize("document", [CPU, EXTERNAL, BENCHMARK], ids=["cpu", "external", "benchmark"])
def test_a_policys_classifier_is_mounted_read_only_into_the_guard_alone(
    document: Document, source: Document, volume: Document, mount: Document
) -> None:
    told = facts(document, policy=classifiers(source))
    spec = pod.template(told)["spec"]
    (found,) = [one for one in spec["volumes"] if one["name"].startswith("injection-")]
    assert found == {"name": found["name"]} | volume
    all_containers = (*spec.get("initContainers", []), *spec["containers"])
    holders = {
        one["name"]: mounted
        for one in all_containers
        for mounted in one["volumeMounts"]
        if mounted["name"] == found["name"]
    }
    path = f"/guard-models/{found['name']}"
    assert holders == {"guard": {"name": found["name"], "mountPath": path, "readOnly": True} | mount}
    (rule,) = contract.build(told).configurations[0].policy.input
    assert isinstance(rule, InjectionRule)
    assert rule.model is not None
    assert rule.model.path == f"{path}/model.onnx"


def test_a_model_for_names_is_mounted_once_for_both_directions() -> None:
    model = {"volume": {"claimName": "c", "path": "ner"}, "file": "onnx/int8.onnx", "memory": "512Mi"}
    rules = [
        {"pii": {"entities": ["PersonName"], "model": {**model, "memory": amount}}} for amount in ("256Mi", "512Mi")
    ]
    told = facts(CPU, policy={"input": [rules[0]], "output": [rules[1]]})
    spec = pod.template(told)["spec"]
    (found,) = [one for one in spec["volumes"] if one["name"].startswith("names-")]
    assert found == {"name": found["name"], "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}
    guard = spec["initContainers"][-1]
    mount = {"mountPath": f"/guard-models/{found['name']}", "readOnly": True, "subPath": "ner"}
    assert [one for one in guard["volumeMounts"] if one["name"] == found["name"]] == [{"name": found["name"], **mount}]
    assert guard["resources"]["limits"] == {"memory": "1536Mi"}
    policy = contract.build(told).configurations[0].policy
    for rule in (*policy.input, *policy.output):
        assert isinstance(rule, PiiRule)
        assert rule.model == NamesModel(f"/guard-models/{found['name']}/onnx/int8.onnx")


def test_each_classifier_is_mounted_once_and_has_its_memory() -> None:
    first, second = {"volume": {"claimName": "c"}}, {"volume": {"claimName": "c", "path": "a"}}
    spec = spec_of(EXTERNAL, policy=classifiers(first, second, first))
    assert len([one for one in spec["volumes"] if one["name"].startswith("injection-")]) == 2
    without, with_them = (container(CPU, "guard"), spec_of(CPU, policy=classifiers(first))["initContainers"][-1])
    assert without["resources"]["limits"] == {"memory": "1024Mi"}
    assert with_them["resources"] == {"requests": {"cpu": "50m", "memory": "608Mi"}, "limits": {"memory": "1536Mi"}}


def test_a_repository_of_its_own_needs_no_model() -> None:
    assert "model" not in {one["name"] for one in spec_of(CPU)["volumes"]}


def test_the_model_is_fetched_from_the_installers_hub_with_the_token_from_a_file() -> None:
    fetched = spec_of(HUB, settings=Settings(hub_url="http://hub.local"))["initContainers"][0]
    assert fetched["args"] == [
        "fetch",
        "--endpoint=http://hub.local",
        "--repository=a/b",
        f"--revision={'0' * 40}",
        "--target=/model",
        "--token-file=/etc/llmops-credentials/key",
    ]


@pytest.mark.parametrize("document", ALL.values(), ids=ALL.keys())
def test_every_mount_has_its_volume_and_every_volume_a_mount(document: Document) -> None:
    spec = spec_of(document)
    mounted = {
        mount["name"] for one in (*spec.get("initContainers", []), *spec["containers"]) for mount in one["volumeMounts"]
    }
    assert mounted == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        ({}, "64Mi"),
        ({"gpus": 1}, "2Gi"),
        ({"gpus": 2}, "9Gi"),
        ({"gpus": 8}, "15Gi"),
        ({"gpus": 8, "sharedMemory": "1Gi"}, "1Gi"),
    ],
    ids=str,
)
def test_shared_memory_grows_with_the_gpus(resources: Document, size: str) -> None:
    assert shared_memory(facts(CPU | {"resources": resources})) == size


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, {}),
        ({"gpus": 2}, {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}),
        ({"cpu": "8"}, {"requests": {"cpu": "8"}}),
        ({"memory": "1Gi"}, {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
    ],
    ids=str,
)
def test_the_engine_gets_what_is_asked_for(resources: Document, expected: Document) -> None:
    assert container(CPU | {"resources": resources}, "triton")["resources"] == expected


def test_gpu_pods_go_to_nodes_with_such_gpus() -> None:
    spec = spec_of(GPU | {"resources": {"gpus": 1, "gpuProducts": ["NVIDIA-H200"]}})
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    expression = {"key": "nvidia.com/gpu.product", "operator": "In", "values": ["NVIDIA-H200"]}
    assert terms == [{"matchExpressions": [expression]}]
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_users_scheduling_is_added() -> None:
    own = {"key": "a", "operator": "Equal", "value": "b", "effect": "NoExecute"}
    usual = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    spec = spec_of(GPU | {"scheduling": {"nodeSelector": {"pool": "x"}, "tolerations": [own, usual, {"key": "c"}]}})
    assert spec["nodeSelector"] == {"pool": "x"}
    assert spec["tolerations"] == [usual, own, {"key": "c", "operator": "Exists"}]


def test_without_wishes_the_pod_goes_anywhere() -> None:
    assert not {"affinity", "nodeSelector", "tolerations"} & spec_of(CPU).keys()


@pytest.mark.parametrize(("document", "shared"), [(CPU, True), (EXTERNAL, None), (BENCHMARK, None)])
def test_triton_is_not_the_first_process(*, document: Document, shared: bool | None) -> None:
    assert spec_of(document).get("shareProcessNamespace") is shared


@pytest.mark.parametrize(
    ("document", "image"),
    [
        (GPU, "trt"),
        (GPU | {"engine": {"tensorRTLLM": {"image": "mine"}}}, "mine"),
        (VLLM, "vllm"),
        (GPU | {"engine": {"vLLM": {"image": "mine"}}}, "mine"),
        (CPU, "triton-cpu:1"),
    ],
    ids=["tensorrt-llm", "tensorrt-llm named", "vllm", "vllm named", "repository"],
)
def test_the_engines_image_is_the_users_or_the_installers(document: Document, image: str) -> None:
    settings = Settings(images=Images("sidecar", "trt", "vllm"))
    assert spec_of(document, settings=settings)["containers"][0]["image"] == image


@pytest.mark.parametrize(
    ("cache", "limit"),
    [(None, "352Mi"), ({"exact": {}}, "352Mi"), ({"maxBytes": "1Gi"}, "1792Mi")],
    ids=["none", "default", "large"],
)
def test_the_caches_memory_follows_its_size(cache: Document | None, limit: str) -> None:
    document = CPU if cache is None else CPU | {"cache": cache}
    assert container(document, "cache")["resources"]["limits"] == {"memory": limit}


def test_the_template_carries_labels_and_the_engine_digest() -> None:
    metadata = pod.template(facts())["metadata"]
    assert metadata["labels"] == names.labels("chat")
    assert list(metadata["annotations"]) == [names.ANNOTATION_ENGINE]
