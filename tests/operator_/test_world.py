"""Objects of the API server, and answers of guards, as facts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from llmops_operator import names, world
from llmops_operator.api import PromptTemplateSpec

POD: dict[str, Any] = {
    "metadata": {
        "name": "chat-0",
        "uid": "u",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "annotations": {"a": "b"},
        "deletionTimestamp": "2026-01-02T03:05:05Z",
    },
    "status": {
        "podIP": "10.0.0.9",
        "conditions": [
            {"type": "Ready", "status": "False"},
            {"type": "PodScheduled", "status": "False", "message": "0/1 nodes"},
        ],
        "initContainerStatuses": [
            {"name": "guard", "ready": True, "restartCount": 2, "state": {"running": {}}},
        ],
        "containerStatuses": [
            {
                "name": "triton",
                "ready": False,
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"reason": "Error", "message": "no model", "exitCode": 1}},
            }
        ],
    },
}


def test_a_pod_is_read() -> None:
    assert world.pod(POD) == world.Pod(
        name="chat-0",
        uid="u",
        ip="10.0.0.9",
        ready=False,
        terminating=True,
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        annotations={"a": "b"},
        containers=(
            world.Container("guard", ready=True, restarts=2, running=True),
            world.Container("triton", False, 3, "CrashLoopBackOff", "back-off", "Error", "no model", 1),
        ),
        scheduling="0/1 nodes",
    )


def test_a_pod_without_a_status_is_read() -> None:
    found = world.pod({"metadata": {"name": "p", "creationTimestamp": "2026-01-02T03:04:05Z"}})
    assert (found.ready, found.ip, found.containers, found.scheduling, found.terminating) == (False, "", (), "", False)


def test_an_ended_container_tells_how() -> None:
    ended = {"name": "fetch-model", "state": {"terminated": {"reason": "Error", "exitCode": 2, "message": "401"}}}
    status = {"conditions": [{"type": "PodScheduled", "status": "True"}], "initContainerStatuses": [ended]}
    (container,) = world.pod(POD | {"status": status}).containers
    assert (container.terminated_reason, container.terminated_message, container.exit_code) == ("Error", "401", 2)


def test_an_object_of_ours_is_read() -> None:
    document = {
        "metadata": {"name": "t", "namespace": "n", "uid": "u", "generation": 4, "annotations": {"a": "b"}},
        "spec": {"messages": [{"role": "user", "content": "hello"}]},
        "status": {"version": "v"},
    }
    found = world.resource(document, PromptTemplateSpec)
    assert found.metadata == world.Metadata("t", "n", "u", 4, {"a": "b"})
    assert isinstance(found.spec, PromptTemplateSpec)
    assert found.status == {"version": "v"}


@pytest.mark.parametrize("document", [{}, {"spec": None}, {"spec": []}, {"spec": {"messages": 1}}], ids=str)
def test_a_wrong_spec_is_a_value_and_no_exception(document: dict[str, Any]) -> None:
    found = world.resource(document, PromptTemplateSpec)
    assert isinstance(found.spec, world.Invalid)
    assert found.spec.reason


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"digest": "a", "error": None, "revisions": ["r"], "cache": {"digest": "a", "error": None}},
            world.Report("a", None, "a", None),
        ),
        (
            {"digest": "a", "error": "no", "cache": {"digest": "b", "error": "neither"}},
            world.Report("a", "no", "b", "neither"),
        ),
        ({"digest": None, "error": "missing"}, world.Report("", "missing", "", None)),
        (
            {"digest": "a", "access": {"tls": "has expired"}, "cache": {"digest": "a"}},
            world.Report("a", None, "a", None, (("tls", "has expired"),)),
        ),
        (
            {"digest": "a", "cache": {"digest": "a", "shared": "it does not answer"}},
            world.Report("a", None, "a", None, (), "it does not answer"),
        ),
    ],
    ids=["current", "refused", "none yet", "access", "shared cache"],
)
def test_a_guards_answer_is_read(answer: dict[str, Any], expected: world.Report) -> None:
    assert world.report(answer) == expected


OURS = {"labels": names.labels("chat"), "annotations": {names.ANNOTATION_INTENT: "1"}}
BY_US = {"ownerReferences": [{"uid": "u", "controller": True}]}
NOT_CONTROLLED = {"ownerReferences": [{"uid": "u"}]}


@pytest.mark.parametrize(
    ("metadata", "owned", "lost"),
    [
        (OURS | BY_US, True, False),
        (OURS, False, True),
        (OURS | NOT_CONTROLLED, False, True),
        (OURS | {"ownerReferences": [{"uid": "v", "controller": True}]}, False, False),
        (OURS | {"labels": names.labels("other")}, False, False),
        ({"labels": names.labels("chat")}, False, False),
        ({}, False, False),
    ],
    ids=["ours", "lost", "not the controller", "another's", "another instance", "not applied by us", "bare"],
)
def test_whose_an_object_is(*, metadata: dict[str, Any], owned: bool, lost: bool) -> None:
    document = {"metadata": metadata}
    assert (world.owned_by(document, "u"), world.lost_by_us(document, "chat")) == (owned, lost)
