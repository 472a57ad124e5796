"""The interfaces of generating models in Triton: which inputs a request becomes, and what their answers mean."""

from __future__ import annotations

from llmops_sidecars.contract import TritonInterface
from llmops_sidecars.engine.interfaces import ensemble, llmapi, vllm
from llmops_sidecars.engine.interfaces.interface import Interface

INTERFACES: dict[TritonInterface, Interface] = {
    TritonInterface.LLMAPI: llmapi.INTERFACE,
    TritonInterface.ENSEMBLE: ensemble.INTERFACE,
    TritonInterface.VLLM: vllm.INTERFACE,
}
