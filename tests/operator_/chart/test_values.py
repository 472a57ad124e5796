"""values.schema.json, without helm: the defaults pass, and what is wrong is refused by its place."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

CHART = Path(__file__).parents[3] / "charts" / "llmops-operator"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
DEFAULTS = yaml.safe_load(TEXT)
DIGEST = f"registry.example/team/llmops-operator@sha256:{'0' * 64}"


def values(**changes: Any) -> dict[str, Any]:
    """The defaults with changes; `images__operator=x` changes a value inside."""
    result = deepcopy(DEFAULTS)
    for name, value in changes.items():
        target = result
        *outer, last = name.split("__")
        for part in outer:
            target = target[part]
        target[last] = value
    return dict(result)


def places(document: dict[str, Any]) -> list[str]:
    errors = Draft202012Validator(SCHEMA).iter_errors(document)
    return ["/".join(str(part) for part in error.absolute_path) for error in errors]


def test_the_schema_is_one_and_knows_every_value() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(DEFAULTS) | {"global"}
    assert set(SCHEMA["properties"]["images"]["properties"]) == set(DEFAULTS["images"])


def test_the_defaults_pass() -> None:
    assert places(DEFAULTS) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 2},
        {"scope": "Namespaces", "namespaces": ["team-a", "team-b"]},
        {"images__operator": DIGEST},
        {"images__sidecar": "localhost:5000/llmops-sidecar:1.2.3"},
        {"images__operator": f"registry.example/a:1@sha256:{'f' * 64}"},
        {"hubUrl": "http://hub.models.svc:8080"},
        {"scrapeNamespaces": ["monitoring"]},
        {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"a": "b"}},
    ],
    ids=",".join,
)
def test_good_values_pass(changes: dict[str, Any]) -> None:
    assert places(values(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"replica": 2}, ""),
        ({"scope": "Everything"}, "scope"),
        ({"scope": "Namespaces"}, "namespaces"),
        ({"namespaces": ["Team_A"]}, "namespaces/0"),
        ({"namespaces": ["a", "a"]}, "namespaces"),
        ({"replicas": 0}, "replicas"),
        ({"replicas": "1"}, "replicas"),
        ({"images__operator": ""}, "images/operator"),
        ({"images__operator": "name with spaces"}, "images/operator"),
        ({"images__operator": "a@sha256:short"}, "images/operator"),
        ({"images__other": "a:1"}, "images"),
        ({"imagePullPolicy": "Sometimes"}, "imagePullPolicy"),
        ({"hubUrl": "ftp://hub"}, "hubUrl"),
        ({"resyncSeconds": 1}, "resyncSeconds"),
        ({"resyncSeconds": "10m"}, "resyncSeconds"),
        ({"workers": 0}, "workers"),
        ({"logLevel": "loud"}, "logLevel"),
        ({"scrapeNamespaces": "monitoring"}, "scrapeNamespaces"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_values_are_refused_by_their_place(changes: dict[str, Any], place: str) -> None:
    assert places(values(**changes)) == [place]


def test_the_defaults_are_those_of_the_settings() -> None:
    from llmops_operator.settings import Settings

    settings = Settings()
    assert DEFAULTS["images"]["sidecar"] == settings.images.sidecar
    assert DEFAULTS["images"]["tensorrtLLM"] == settings.images.tensorrt_llm
    assert DEFAULTS["images"]["vLLM"] == settings.images.vllm
    assert (DEFAULTS["hubUrl"], DEFAULTS["workers"]) == (settings.hub_url, settings.workers)
    assert DEFAULTS["resyncSeconds"] == settings.resync.total_seconds()


def test_every_value_is_used_by_a_template() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in (CHART / "templates").iterdir())
    unused = [name for name in DEFAULTS if not re.search(rf"\.Values\.{name}\b", templates)]
    assert unused == []
