"""What the operator writes for TensorRT-LLM and for vLLM, in a real Triton that has the CPU model for their code."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from llmops_operator.api.llmdeployment import TensorRTLLMEngine
from llmops_operator.desired import contract
from llmops_operator.desired import triton as rendered
from llmops_sidecars.contract import TritonGrpcEngine
from llmops_sidecars.engine.make import make_driver
from tests.e2e_.triton.client import connected
from tests.operator_.desired.facts import VLLM, facts
from tests.sidecars_.engine.kit import generate, pieces_of
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


async def test_a_vllm_deployment_s_files_and_contract_fit_together(tmp_path: Path) -> None:
    """All of it but the address: the repository as the pod mounts it, and the driver that the contract asks for."""
    spec = VLLM | {"engine": {"vLLM": {"arguments": {"max_model_len": 512, "max_num_seqs": 2}}}}
    deployment = facts(spec)
    for path, content in rendered.files(deployment).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    engine = contract.build(deployment).engine
    assert isinstance(engine, TritonGrpcEngine)
    with running_triton(repository=tmp_path) as server:
        driver = make_driver(msgspec.structs.replace(engine, address=server.grpc))
        await driver.probe()
        pieces = await pieces_of(driver, generate("Repeat after me: one two"))
        await driver.close()
        assert "".join(piece.text for piece in pieces) == " one two"
        assert "model.yaml.tensor_parallel_size" in server.log()
