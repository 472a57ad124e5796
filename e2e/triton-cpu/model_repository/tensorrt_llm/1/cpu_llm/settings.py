"""`model.yaml`, read once into frozen values.

Engine arguments and the keys of `triton_config` come from TensorRT-LLM; those that mean nothing here are named in
`Settings.ignored`, so that a file written for a GPU loads. `cpu_model` is ours: what it does not know is an error.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from cpu_llm.faults import NAMES, Faults

DEFAULT_CORPUS = Path(__file__).with_name("corpus.txt")
MODEL_TYPE = "word_ngram"
"""What the `config.json` of a model directory calls a model that this engine can load."""

DEFAULT_ECHO_PREFIX = "Repeat after me:"
DEFAULT_CHAT_SUFFIX = r"(?:\s|<\|[^|<>]*\|>|<(?:start|end)_of_turn>|\[/INST\]|\bassistant:|(?<=>)(?:assistant|model))+$"
"""Matches what a chat's layout puts between the last message and the answer."""

_REQUIRED = object()


class SettingsError(ValueError):
    """`model.yaml`, or what it names, cannot be used; the message says which key and why."""


@dataclass(frozen=True)
class Engine:
    """Sizes: `slots` in requests, the rest in tokens, the KV cache's `blocks` of `block_tokens` each."""

    slots: int
    iteration_tokens: int
    sequence_tokens: int
    block_tokens: int
    blocks: int

    def blocks_for(self, tokens: int) -> int:
        """Blocks that hold so many tokens."""
        return -(-tokens // self.block_tokens)


@dataclass(frozen=True)
class Triton:
    """How Triton is to serve the model; `cancel_seconds` passes between two looks for cancelled requests."""

    decoupled: bool
    cancel_seconds: float


@dataclass(frozen=True)
class CpuModel:
    """What only this model has. `corpus` is a text file, `order` counts words, an empty `echo_prefix` never occurs."""

    corpus: Path
    order: int
    iteration_seconds: float
    echo_prefix: str
    chat_suffix: re.Pattern[str]
    byte_tokens: bool
    engine_metrics: bool
    faults: Faults
    faults_in_requests: bool
    load_seconds: float


@dataclass(frozen=True)
class Settings:
    """All of `model.yaml`; `ignored` names the keys that mean nothing here."""

    engine: Engine
    triton: Triton
    model: CpuModel
    ignored: tuple[str, ...]


class _Section:
    """A mapping that is read key by key; what is left over at the end was not understood."""

    def __init__(self, name: str, values: object) -> None:
        if not isinstance(values, Mapping):
            raise SettingsError(f"{name}: expected a mapping, not {values!r}")
        self.name, self._left = name, dict(values)

    def take(self, key: str, kind: type | UnionType, default: Any = _REQUIRED, least: float | None = None) -> Any:
        """The value of a key, of that type and not below `least`; null and a missing key mean the default."""
        value = self._left.pop(key, None)
        if value is None and default is _REQUIRED:
            raise SettingsError(f"{self.name}: {key} is missing")
        if value is None:
            return default
        if not _is_a(value, kind):
            raise SettingsError(f"{self.name}: {key} must be {getattr(kind, '__name__', kind)}, not {value!r}")
        if least is not None and value < least:
            raise SettingsError(f"{self.name}: {key} must be at least {least:g}, not {value!r}")
        return value

    def section(self, key: str, default: object = _REQUIRED) -> _Section:
        """A mapping inside this one."""
        return _Section(f"{self.name}.{key}", self.take(key, Mapping, default))

    def left(self) -> tuple[str, ...]:
        """Names of the keys that nobody took, the section's own name before them."""
        return tuple(f"{self.name}.{key}" for key in sorted(map(str, self._left)))

    def close(self) -> None:
        """Refuse keys that nobody took."""
        if self._left:
            raise SettingsError(f"unknown: {', '.join(self.left())}")


def _is_a(value: object, kind: type | UnionType) -> bool:
    """Like isinstance, but a boolean is no number."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def load(version_directory: Path) -> Settings:
    """Read the file that LLM_CONFIG_PATH names (absolute, or below the model's version directory), or model.yaml."""
    path = version_directory / os.environ.get("LLM_CONFIG_PATH", "model.yaml")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: {error}") from error
    return parse(document, path.parent)


def parse(document: object, directory: Path) -> Settings:
    """The values of a parsed file; relative paths in it start at `directory`."""
    top = _Section("model.yaml", document)
    triton, model, cache = (
        top.section("triton_config"),
        top.section("cpu_model", {}),
        top.section("kv_cache_config", {}),
    )
    weights = top.take("model", str, None)
    settings = Settings(
        engine=_engine(top, cache),
        triton=_triton(triton),
        model=_cpu_model(model, directory, weights),
        ignored=(*top.left(), *cache.left(), *triton.left()),
    )
    model.close()
    return settings


def _engine(top: _Section, cache: _Section) -> Engine:
    slots = top.take("max_batch_size", int, 8, 1)
    sequence = top.take("max_seq_len", int, 4096, 2)
    block = cache.take("tokens_per_block", int, 32, 1)
    tokens = cache.take("max_tokens", int, slots * sequence, block)
    return Engine(slots, top.take("max_num_tokens", int, 2048, 1), sequence, block, tokens // block)


def _triton(section: _Section) -> Triton:
    if section.take("max_batch_size", int) != 0:
        raise SettingsError(f"{section.name}: max_batch_size must be 0: the engine batches, not Triton")
    milliseconds = section.take("cancellation_check_period_ms", int, 100, 0)
    return Triton(section.take("decoupled", bool), milliseconds / 1000)


def _cpu_model(section: _Section, directory: Path, weights: str | None) -> CpuModel:
    faults = section.section("faults", {})
    corpus = section.take("corpus", str, None)
    model = CpuModel(
        corpus=directory / corpus if corpus else _corpus_of(weights),
        order=section.take("order", int, 5, 2),
        iteration_seconds=section.take("iteration_ms", int | float, 20.0, 0) / 1000,
        echo_prefix=section.take("echo_prefix", str, DEFAULT_ECHO_PREFIX),
        chat_suffix=_pattern(section),
        byte_tokens=section.take("byte_tokens", bool, False),
        engine_metrics=section.take("engine_metrics", bool, False),
        faults=_faults(faults),
        faults_in_requests=faults.take("allow_in_requests", bool, False),
        load_seconds=faults.take("load_delay_ms", int, 0, 0) / 1000,
    )
    faults.close()
    return model


def _faults(section: _Section) -> Faults:
    counts = {name: section.take(name, int, None, 0) for name in NAMES}
    return Faults(**{name: count for name, count in counts.items() if count is not None})


def _pattern(section: _Section) -> re.Pattern[str]:
    expression = section.take("chat_suffix", str, DEFAULT_CHAT_SUFFIX)
    try:
        return re.compile(expression, re.IGNORECASE)
    except re.error as error:
        raise SettingsError(f"{section.name}: chat_suffix is not a regular expression: {error}") from error


def _corpus_of(weights: str | None) -> Path:
    """The corpus in the directory that `model` names, when a model for this engine is there; else the built-in one."""
    if weights is None or not (config := Path(weights, "config.json")).is_file():
        return DEFAULT_CORPUS
    try:
        model_type = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise SettingsError(f"{config}: {error}") from error
    return config.with_name("corpus.txt") if model_type == MODEL_TYPE else DEFAULT_CORPUS
