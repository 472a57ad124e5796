from __future__ import annotations

from pathlib import Path

import pytest

from e2e.cluster import settings
from e2e.cluster.errors import ClusterError

CHECKOUT = Path("/home/a/project")


def test_everything_lies_in_one_cache_directory_by_default() -> None:
    chosen = settings.read({"HOME": "/home/a"}, CHECKOUT)
    cache = Path("/home/a/.cache/llmops-operator")
    assert (chosen.cache, chosen.bin, chosen.images) == (cache, cache / "bin", cache / "images")
    assert chosen.state == cache / "state" / chosen.name
    assert chosen.logs == cache / "logs" / chosen.name
    assert chosen.port == 0


def test_two_checkouts_have_two_clusters_and_one_has_always_the_same() -> None:
    first, again, other = (settings.read({"HOME": "/h"}, Path(path)) for path in ("/a", "/a", "/b"))
    assert first == again
    assert {first.name, first.state, first.lock}.isdisjoint({other.name, other.state, other.lock})
    assert first.bin == other.bin


@pytest.mark.parametrize(
    ("variables", "field", "value"),
    [
        ({"XDG_CACHE_HOME": "/x"}, "cache", Path("/x/llmops-operator")),
        ({"LLMOPS_CLUSTER_CACHE": "/c/../d"}, "cache", Path("/d")),
        ({"LLMOPS_CLUSTER_CACHE": ""}, "cache", Path("/h/.cache/llmops-operator")),
        ({"LLMOPS_CLUSTER_STATE": "/s"}, "state", Path("/s")),
        ({"LLMOPS_CLUSTER_NAME": "ci-7"}, "name", "ci-7"),
        ({"LLMOPS_CLUSTER_PORT": "6443"}, "port", 6443),
        ({"LLMOPS_CLUSTER_PORT": ""}, "port", 0),
    ],
)
def test_a_variable_changes_its_field(variables: dict[str, str], field: str, value: object) -> None:
    assert getattr(settings.read({"HOME": "/h", **variables}, CHECKOUT), field) == value


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        pytest.param({"LLMOPS_CLUSTER_NAME": "Über"}, "LLMOPS_CLUSTER_NAME is 'Über'", id="name with capitals"),
        pytest.param({"LLMOPS_CLUSTER_NAME": "a/../b"}, "LLMOPS_CLUSTER_NAME", id="name that is a path"),
        pytest.param({"LLMOPS_CLUSTER_NAME": "a" * 41}, "at most 40", id="long name"),
        pytest.param({"LLMOPS_CLUSTER_NAME": "a-"}, "LLMOPS_CLUSTER_NAME", id="name that ends with a dash"),
        pytest.param({"LLMOPS_CLUSTER_PORT": "65536"}, "0 .any free port. to 65535", id="large port"),
        pytest.param({"LLMOPS_CLUSTER_PORT": "-1"}, "LLMOPS_CLUSTER_PORT is '-1'", id="negative port"),
        pytest.param({"LLMOPS_CLUSTER_PORT": "http"}, "LLMOPS_CLUSTER_PORT", id="port by name"),
        pytest.param(
            {"LLMOPS_CLUSTER_STATE": "/run/x"}, "cannot lie in /run: set LLMOPS_CLUSTER_STATE", id="hidden state"
        ),
        pytest.param(
            {"XDG_CACHE_HOME": "/var/lib/ci"}, "cannot lie in /var: set LLMOPS_CLUSTER_STATE", id="hidden cache"
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(ClusterError, match=reason):
        settings.read({"HOME": "/h", **variables}, CHECKOUT)
