"""Triton's command line and the files of the GPU engines' model repositories."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from llmops_operator.desired import triton
from llmops_operator.desired.volumes import engine_mounts
from tests.operator_.desired.facts import ALL, CPU, EXTERNAL, GPU, VLLM, facts

Document = dict[str, Any]
WITH_ENGINE = {name: spec for name, spec in ALL.items() if name not in {"external", "benchmark"}}


def flags(document: Document) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in triton.command(facts(document))[1:])


@pytest.mark.parametrize("document", WITH_ENGINE.values(), ids=WITH_ENGINE.keys())
def test_triton_listens_on_loopback_alone_and_changes_nothing_at_run_time(document: Document) -> None:
    found = flags(document)
    assert {found[f"{kind}-address"] for kind in ("http", "grpc", "metrics")} == {"127.0.0.1"}
    assert found["model-control-mode"] == "none"
    assert found["strict-readiness"] == "true"
    assert (found["allow-sagemaker"], found["allow-vertex-ai"]) == ("false", "false")
    assert found["exit-timeout-secs"] == "30"
    for api in ("model-repository", "shared-memory", "trace", "logging"):
        assert api in found["http-restricted-api"].split(":")[0].split(",")
        assert api in found["grpc-restricted-protocol"].split(":")[0].split(",")


def test_the_header_of_restricted_apis_differs_between_objects_and_not_between_passes() -> None:
    one, again = flags(CPU), flags(CPU)
    assert one == again
    assert len(one["http-restricted-api"].split("llmops-admin=")[1]) == 64


@pytest.mark.parametrize(
    ("document", "gpu", "pool"),
    [(GPU, "true", "64"), (CPU, "false", None), (CPU | {"resources": {"gpus": 1}}, "true", None)],
    ids=["gpu", "cpu", "repository on a gpu"],
)
def test_flags_follow_what_the_image_knows(document: Document, gpu: str, pool: str | None) -> None:
    found = flags(document)
    assert found["allow-gpu-metrics"] == gpu
    assert found.get("grpc-max-response-pool-size") == pool


@pytest.mark.parametrize(
    ("document", "directory"),
    [
        (GPU, "/app/all_models/llmapi"),
        (VLLM, "/models"),
        (CPU, "/models"),
        (CPU | {"engine": {"modelRepository": {"image": "i", "path": "/srv/m"}}}, "/srv/m"),
    ],
    ids=["tensorrt-llm", "vllm", "repository", "repository elsewhere"],
)
def test_the_repository_is_where_the_image_has_it(document: Document, directory: str) -> None:
    assert flags(document)["model-repository"] == directory


def test_model_yaml_is_what_the_engine_takes() -> None:
    engine = {
        "tensorParallelSize": 2,
        "maxSequenceLength": 4096,
        "kvCacheFraction": "0.8",
        "arguments": {"enable_chunked_prefill": True, "kv_cache_config": {"dtype": "fp8"}},
    }
    spec = GPU | {"engine": {"tensorRTLLM": engine}, "resources": {"gpus": 2}}
    written = yaml.safe_load(triton.files(facts(spec))["tensorrt_llm/1/model.yaml"])
    assert written == {
        "model": "/model",
        "backend": "pytorch",
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 1,
        "max_batch_size": 64,
        "max_seq_len": 4096,
        "enable_chunked_prefill": True,
        "kv_cache_config": {"free_gpu_memory_fraction": 0.8, "dtype": "fp8"},
        "triton_config": {"max_batch_size": 0, "decoupled": True},
    }


def test_the_length_of_a_sequence_is_the_models_own_when_it_is_left_out() -> None:
    assert "max_seq_len" not in triton.files(facts(GPU))["tensorrt_llm/1/model.yaml"]


def test_model_json_is_what_vllm_takes() -> None:
    spec = GPU | {"engine": {"vLLM": {"arguments": {"max_model_len": 9}}}}
    written = json.loads(triton.files(facts(spec))["vllm_model/1/model.json"])
    assert written == {"model": "/model", "tensor_parallel_size": 1, "max_model_len": 9}


@pytest.mark.parametrize(
    ("document", "path", "lines"),
    [
        (
            GPU,
            "tensorrt_llm/config.pbtxt",
            (
                'name: "tensorrt_llm"',
                'backend: "python"',
                'input [ { name: "text_input" data_type: TYPE_STRING dims: [ -1 ] } ]',
                'input [ { name: "streaming" data_type: TYPE_BOOL dims: [ 1 ] optional: true } ]',
                'output [ { name: "finish_reason" data_type: TYPE_STRING dims: [ -1 ] } ]',
            ),
        ),
        (
            VLLM,
            "vllm_model/config.pbtxt",
            (
                'name: "vllm_model"',
                'backend: "vllm"',
                "instance_group [ { count: 1 kind: KIND_MODEL } ]",
            ),
        ),
    ],
    ids=["tensorrt-llm", "vllm"],
)
def test_config_pbtxt_declares_what_a_request_says(document: Document, path: str, lines: tuple[str, ...]) -> None:
    written = triton.files(facts(document))[path].splitlines()
    assert set(lines) <= set(written)
    assert len(written) == len(set(written))


@pytest.mark.parametrize("document", [CPU, EXTERNAL], ids=["repository", "external"])
def test_other_engines_bring_their_own_files(document: Document) -> None:
    assert triton.files(facts(document)) == {}


def test_every_file_is_mounted_into_the_repository() -> None:
    mounts = {one["mountPath"]: one["subPath"] for one in engine_mounts(facts(VLLM)) if one["name"] == "engine"}
    assert mounts == {
        "/models/vllm_model/config.pbtxt": "config.pbtxt",
        "/models/vllm_model/1/model.json": "model.json",
    }
