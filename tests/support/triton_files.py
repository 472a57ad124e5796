"""What a test's Triton is started on: a model repository and the backends, put together in a folder of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

TRITON_CPU = Path(__file__).parents[2] / "e2e" / "triton-cpu"
MODEL = "tensorrt_llm"
REPOSITORY = TRITON_CPU / "model_repository"
ENSEMBLE_REPOSITORY = TRITON_CPU / "ensemble_repository"
VLLM_REPOSITORY = TRITON_CPU / "vllm_repository"
MODEL_YAML = REPOSITORY / MODEL / "1" / "model.yaml"
MODEL_CODE = REPOSITORY / MODEL / "1" / "cpu_llm"
BYTECODE = shutil.ignore_patterns("__pycache__")

Config = Mapping[str, Any] | Path | None


def put_backends(server: Path, folder: Path) -> Path:
    """The server's backends, and beside them the one that stands for vLLM's."""
    backends = folder / "backends"
    vllm = backends / "vllm"
    vllm.mkdir(parents=True)
    for backend in (server / "backends").iterdir():
        (backends / backend.name).symlink_to(backend)
    (vllm / "model.py").symlink_to(TRITON_CPU / "backends" / "vllm" / "model.py")
    (vllm / "cpu_llm").symlink_to(MODEL_CODE)
    return backends


def put_repository(repository: Path, config: Config, folder: Path) -> tuple[Path, Path]:
    """A repository with what it lacks here, and the settings of its models: `config` laid over their own."""
    settings = config if isinstance(config, Path) else _written(config or {}, folder)
    if (repository / MODEL / "1" / "cpu_llm").exists():
        return repository, settings
    target = folder / "models"
    shutil.copytree(repository, target, ignore=BYTECODE)
    if (target / MODEL).exists():
        (target / MODEL / "1" / "cpu_llm").symlink_to(MODEL_CODE)
    for path in target.glob("*/1/model.json"):
        path.write_text(json.dumps(merged(json.loads(path.read_text()), config if isinstance(config, Mapping) else {})))
    return target, settings


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, mappings merged key by key."""
    both = {
        key: merged(base[key], over[key]) for key in base.keys() & over.keys() if _are_mappings(base[key], over[key])
    }
    return {**base, **over, **both}


def _written(config: Mapping[str, Any], folder: Path) -> Path:
    path = folder / "model.yaml"
    base = yaml.safe_load(MODEL_YAML.read_text(encoding="utf-8"))
    path.write_text(json.dumps(merged(base, config)), encoding="utf-8")
    return path


def _are_mappings(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)
