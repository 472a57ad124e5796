"""The served document, tried out: whatever it allows is answered as it says, whatever it forbids is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from llmops_sidecars.openai.document import ENDPOINTS, document
from tests.sidecars_.api.kit import Service, service

load_all_checks()
EXAMPLES = 15
"""Requests to each operation, beside the document's own examples and the edges of its fields."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
SEEN: Counter[tuple[str, int]] = Counter()
SCHEMA = schemathesis.openapi.from_dict(json.loads(document()))
SCHEMA.config.generation.update(modes=list(schemathesis.GenerationMode))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("service")) as one:
        yield one


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_the_document_is_kept(case: schemathesis.Case[Any], running: Service) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.body["model"]:
        case.body["model"] = "chat"  # names of other models are answered with 404 before anything else is looked at
    response = case.call(base_url=running.url)
    SEEN[case.operation.label, response.status_code] += 1
    case.validate_response(response, checks=CHECKS)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_each_endpoint_has_answered_and_refused(path: str) -> None:
    """Runs after the test above: what only ever refuses would pass it too."""
    if not SEEN:
        pytest.skip("nothing was asked")
    assert SEEN[f"POST {path}", 200] > 0
    assert SEEN[f"POST {path}", 400] > 0
