"""What the installer of the operator may choose; read once, by `__main__`, and carried inside World."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Images:
    """Images that the operator puts into serving pods when an LLMDeployment does not name its own."""

    sidecar: str = "llmops-sidecar:0.1.0"
    tensorrt_llm: str = "tritonserver:26.07-trtllm-python-py3"
    vllm: str = "tritonserver:26.07-vllm-python-py3"


@dataclass(frozen=True)
class Settings:
    """The operator's settings; `namespaces` is empty for the whole cluster."""

    images: Images = Images()
    namespace: str = "llmops-system"
    namespaces: tuple[str, ...] = ()
    scrape_namespaces: tuple[str, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()
    hub_url: str = "https://huggingface.co"
    workers: int = 4
    resync: timedelta = timedelta(minutes=10)
