"""What the operator writes for TensorRT-LLM's llmapi model, in a real Triton that has the CPU model for its code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llmops_operator.api.llmdeployment import TensorRTLLMEngine
from llmops_operator.desired import triton as rendered
from tests.e2e_.triton.client import connected
from tests.support.triton import running_triton
from tests.support.triton_files import MODEL, REPOSITORY

pytestmark = pytest.mark.triton


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The model repository with the operator's two files in place of its own."""
    target = tmp_path / "models"
    shutil.copytree(REPOSITORY, target, ignore=shutil.ignore_patterns("__pycache__"))
    engine = TensorRTLLMEngine.model_validate({"maxBatchSize": 2, "arguments": {"enable_chunked_prefill": True}})
    (target / MODEL / "config.pbtxt").write_text(rendered.llmapi_configuration())
    (target / MODEL / "1" / "model.yaml").write_text(rendered.llmapi_arguments(engine))
    return target


async def test_the_operator_s_files_load_and_stream(repository: Path) -> None:
    with running_triton(repository / MODEL / "1" / "model.yaml", repository=repository) as server:
        async with connected(server) as client:
            events = [event async for event in client.stream("Repeat after me: one two", sampling_param_seed=1)]
        assert [event["text_output"] for event in events] == [" one", " one two", " one two"]
        assert events[-1]["finish_reason"] == "stop"
        assert "model.yaml.enable_chunked_prefill" in server.log()
