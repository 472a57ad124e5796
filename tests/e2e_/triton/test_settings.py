from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cpu_llm import settings
from cpu_llm.faults import Faults
from cpu_llm.settings import DEFAULT_CORPUS, Engine, SettingsError, load, parse

from tests.support.triton_files import MODEL_YAML, TRITON_CPU

TRITON = {"max_batch_size": 0, "decoupled": True}
GPU_FILE = """
model: /var/lib/models/llama-3.1-8b
backend: pytorch
tensor_parallel_size: 2
max_batch_size: 64
max_num_tokens: 8192
max_seq_len: 16384
enable_chunked_prefill: true
kv_cache_config: {free_gpu_memory_fraction: 0.9, enable_block_reuse: true, dtype: fp8}
triton_config: {max_batch_size: 0, decoupled: true, multimodal: false}
"""


def parsed(**document: Any) -> settings.Settings:
    return parse({"triton_config": TRITON, **document}, Path("/config"))


def test_the_repository_s_own_file_says_what_the_defaults_are() -> None:
    own, bare = load(MODEL_YAML.parent), parsed()
    assert own.model == bare.model
    assert own.ignored == ()
    assert own.engine == Engine(slots=8, iteration_tokens=2048, sequence_tokens=4096, block_tokens=32, blocks=512)
    assert own.triton == settings.Triton(decoupled=True, cancel_seconds=0.0)


def test_a_file_for_a_gpu_loads_and_says_what_it_ignores() -> None:
    found = parse(yaml.safe_load(GPU_FILE), Path("/config"))
    assert found.engine == Engine(
        slots=64, iteration_tokens=8192, sequence_tokens=16384, block_tokens=32, blocks=64 * 16384 // 32
    )
    assert found.triton == settings.Triton(decoupled=True, cancel_seconds=0.1)
    assert found.model.corpus == DEFAULT_CORPUS
    assert found.ignored == (
        "model.yaml.backend",
        "model.yaml.enable_chunked_prefill",
        "model.yaml.tensor_parallel_size",
        "model.yaml.kv_cache_config.dtype",
        "model.yaml.kv_cache_config.enable_block_reuse",
        "model.yaml.kv_cache_config.free_gpu_memory_fraction",
        "model.yaml.triton_config.multimodal",
    )


def test_faults_are_read() -> None:
    faults = {"allow_in_requests": True, "load_delay_ms": 1500, "hang_after_tokens": 0, "crash_after_tokens": None}
    model = parsed(cpu_model={"faults": faults}).model
    assert model.faults == Faults(hang_after_tokens=0)
    assert (model.faults_in_requests, model.load_seconds) == (True, 1.5)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(["a"], "model.yaml: expected a mapping", id="a list"),
        pytest.param(None, "model.yaml: expected a mapping", id="an empty file"),
        pytest.param({}, "model.yaml: triton_config is missing", id="no triton_config"),
        pytest.param({"triton_config": {"max_batch_size": 0}}, "decoupled is missing", id="no decoupled"),
        pytest.param({"triton_config": {"decoupled": True}}, "max_batch_size is missing", id="no max_batch_size"),
        pytest.param({"triton_config": {**TRITON, "max_batch_size": 4}}, "must be 0", id="Triton batches"),
        pytest.param(
            {"triton_config": {**TRITON, "decoupled": "yes"}}, "decoupled must be bool", id="a word for a truth"
        ),
        pytest.param(
            {"triton_config": TRITON, "max_seq_len": True}, "max_seq_len must be int", id="truth is no number"
        ),
        pytest.param({"triton_config": TRITON, "max_batch_size": 0}, "max_batch_size must be at least 1", id="no slot"),
        pytest.param(
            {"triton_config": TRITON, "kv_cache_config": {"max_tokens": 8}},
            "max_tokens must be at least 32",
            id="no block",
        ),
        pytest.param(
            {"triton_config": TRITON, "cpu_model": {"oder": 4}}, r"unknown: model.yaml.cpu_model.oder", id="typo"
        ),
        pytest.param(
            {"triton_config": TRITON, "cpu_model": {"faults": {"hang": 4}}},
            r"cpu_model.faults.hang",
            id="typo in faults",
        ),
        pytest.param({"triton_config": TRITON, "cpu_model": {"order": 1}}, "order must be at least 2", id="order"),
        pytest.param({"triton_config": TRITON, "cpu_model": {"iteration_ms": "2"}}, "int | float, not '2'", id="text"),
        pytest.param(
            {"triton_config": TRITON, "cpu_model": {"chat_suffix": "("}}, "not a regular expression", id="expression"
        ),
    ],
)
def test_a_bad_file_is_refused_with_key_and_reason(document: object, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(document, Path("/config"))
    assert message in str(refused.value)


def test_a_corpus_is_looked_for_beside_the_file() -> None:
    assert parsed(cpu_model={"corpus": "words.txt"}).model.corpus == Path("/config/words.txt")
    assert parsed(cpu_model={"corpus": "/data/words.txt"}).model.corpus == Path("/data/words.txt")


@pytest.mark.parametrize(
    ("config", "own"),
    [({"model_type": "word_ngram"}, True), ({"model_type": "llama"}, False), (None, False)],
    ids=["ours", "another engine's", "no model"],
)
def test_the_model_directory_brings_its_corpus(tmp_path: Path, config: dict[str, str] | None, own: bool) -> None:  # noqa: FBT001 - a column
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    expected = tmp_path / "corpus.txt" if own else DEFAULT_CORPUS
    assert parsed(model=str(tmp_path)).model.corpus == expected
    assert parsed(model=str(tmp_path), cpu_model={"corpus": "mine.txt"}).model.corpus == Path("/config/mine.txt")


def test_the_model_data_image_holds_a_model_for_this_engine() -> None:
    assert parsed(model=str(TRITON_CPU / "model-data")).model.corpus == TRITON_CPU / "model-data" / "corpus.txt"


@pytest.mark.parametrize("content", ["{", "[]", "\xff"], ids=["broken", "a list", "not UTF-8"])
def test_a_broken_model_directory_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"config\.json"):
        parsed(model=str(tmp_path))


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "below the version directory"])
def test_another_file_is_read_when_the_environment_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    absolute: bool,  # noqa: FBT001 - a column
) -> None:
    (tmp_path / "other.yaml").write_text(GPU_FILE)
    monkeypatch.setenv("LLM_CONFIG_PATH", str(tmp_path / "other.yaml") if absolute else "other.yaml")
    directory = MODEL_YAML.parent if absolute else tmp_path
    assert load(directory).engine.slots == 64


@pytest.mark.parametrize("content", [None, b"a: [", b"\xff"], ids=["missing", "no YAML", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model.yaml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"model\.yaml"):
        load(tmp_path)
