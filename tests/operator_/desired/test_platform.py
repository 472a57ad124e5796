"""An upgrade of the operator keeps what running pods were made with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.desired.platform import Platform, annotation, kept

OLD = Platform("sidecar:1", "trt:1", "vllm:1", "https://hub")
NEW = Platform("sidecar:2", "trt:2", "vllm:2", "https://mirror")


def live(engine: str = "e", text: str | None = None) -> dict[str, Any]:
    annotations = {names.ANNOTATION_PLATFORM: annotation(OLD) if text is None else text}
    template = {"metadata": {"annotations": {names.ANNOTATION_ENGINE: engine}}}
    return {"metadata": {"annotations": annotations}, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (live(), OLD),
        (live(engine="other"), NEW),
        (None, NEW),
        (live(text="{"), NEW),
        (live(text="[]"), NEW),
        (live(text='{"sidecar": ""}'), NEW),
        (live(text='{"sidecar": 1}'), NEW),
        ({"metadata": {}, "spec": {"template": {}}}, NEW),
    ],
    ids=["same engine", "new engine", "new", "broken", "no map", "empty", "no text", "bare"],
)
def test_what_pods_were_made_with_stays_until_the_engine_changes(deployment: Any, expected: Platform) -> None:
    assert kept(deployment, "e", NEW) == expected


def test_what_an_older_or_newer_operator_wrote_is_read() -> None:
    text = json.dumps({"sidecar": "sidecar:1", "of_a_later_version": "x"})
    assert kept(live(text=text), "e", NEW) == Platform("sidecar:1", "trt:2", "vllm:2", "https://mirror")
