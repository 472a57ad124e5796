"""One pass against the small API server: what it writes, what it reports, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster.apply import Applier
from llmops_operator.cluster.client import Client, NoAuthorityError
from llmops_operator.cluster.errors import NotFoundError, TerminalError, TransientError
from llmops_operator.cluster.guards import Guards
from llmops_operator.cluster.kinds import Key
from llmops_operator.cluster.metrics import Metrics
from llmops_operator.reconcile import Pass, Reconciler, failure
from llmops_operator.settings import Settings
from tests.support.apiserver import FakeApi

Document = dict[str, Any]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
CHAT = Key("LLMDeployment", "team", "chat")
SPEC: Document = {"model": {"name": "m"}, "engine": {"modelRepository": {"image": "triton-cpu:1"}}}
TEMPLATE: Document = {
    "messages": [{"role": "user", "content": "{{ question }}"}],
    "variables": [{"name": "question", "required": True}],
}


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi().serve() as server:
        yield server


class Operator:
    """A Reconciler whose authority a test takes away."""

    def __init__(self, api: FakeApi) -> None:
        self.authority, self.metrics = 5.0, Metrics()
        self.client = Client(api.connection(), lambda: self.authority)
        self.guards = Guards(port=1)
        applier = Applier(self.client, lambda: 0.0)
        self.reconciler = Reconciler(self.client, self.guards, applier, Settings(), self.metrics, lambda: NOW)

    async def reconcile(self, key: Key = CHAT) -> Pass:
        return await self.reconciler.reconcile(key)


@pytest.fixture
async def operator(api: FakeApi) -> AsyncIterator[Operator]:
    made = Operator(api)
    yield made
    await made.client.close()
    await made.guards.close()


def put(api: FakeApi, spec: object = SPEC, kind: str = "LLMDeployment", name: str = "chat") -> Document:
    metadata = {"name": name, "namespace": "team"}
    return api.put({"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})


def conditions(api: FakeApi, kind: str = "LLMDeployment", name: str = "chat") -> dict[str, Document]:
    status = (api.find(kind, "team", name) or {}).get("status", {})
    return {one["type"]: one for one in status.get("conditions", [])}


def written(api: FakeApi) -> list[str]:
    return [one.path.rpartition("/namespaces/team/")[2] for one in api.writes()]


async def test_a_pass_applies_in_order_and_reports_last(api: FakeApi, operator: Operator) -> None:
    put(api)
    assert await operator.reconcile() == Pass("ok")
    assert written(api)[0] == "serviceaccounts/chat"
    assert written(api)[-1] == "llmdeployments/chat/status"
    assert len(written(api)) == len(set(written(api)))
    assert conditions(api)["Ready"]["reason"] == "Progressing"
    assert 'condition="Ready",kind="LLMDeployment",status="False"' in operator.metrics.exposition().decode()


async def test_a_second_pass_writes_nothing(api: FakeApi, operator: Operator) -> None:
    put(api)
    await operator.reconcile()
    before = len(api.writes())
    assert await operator.reconcile() == Pass("ok")
    assert len(api.writes()) == before


async def test_an_object_that_is_gone_needs_nothing(api: FakeApi, operator: Operator) -> None:
    put(api)
    await operator.reconcile()
    api.remove("LLMDeployment", "team", "chat")
    before = len(api.writes())
    assert await operator.reconcile() == Pass("gone")
    assert len(api.writes()) == before
    assert 'condition="Ready"' not in operator.metrics.exposition().decode()


def delete(api: FakeApi) -> None:
    api.remove("LLMDeployment", "team", "chat")


def begin_to_delete(api: FakeApi) -> None:
    api.edit("LLMDeployment", "team", "chat", {"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}})


def replace(api: FakeApi) -> None:
    delete(api)
    put(api)


@pytest.mark.parametrize(
    ("happens", "then"),
    [(delete, "gone"), (begin_to_delete, "held"), (replace, "ok")],
    ids=["deleted", "being deleted", "replaced"],
)
async def test_nothing_is_made_for_an_owner_that_goes_between_observation_and_writes(
    api: FakeApi, operator: Operator, happens: Callable[[FakeApi], object], then: str
) -> None:
    put(api)
    moment = api.at("GET", "/networkpolicies/chat$", lambda: happens(api))
    assert await operator.reconcile() == Pass("gone", again=0.0)
    assert moment.over
    assert written(api) == []
    assert (await operator.reconcile()).outcome == then
    live = {one["metadata"]["uid"] for one in api.all("LLMDeployment")}
    owners = {one["metadata"]["ownerReferences"][0]["uid"] for one in api.all("Service")}
    assert owners <= live


async def test_nothing_more_is_made_for_an_owner_that_goes_between_two_writes(api: FakeApi, operator: Operator) -> None:
    put(api)
    api.at("PATCH", "/services/chat$", lambda: delete(api))
    assert await operator.reconcile() == Pass("gone", again=0.0)
    assert written(api)[-1] == "services/chat"
    assert "deployments/chat" not in written(api)


async def test_an_edited_child_of_an_owner_that_is_being_deleted_is_left_alone(
    api: FakeApi, operator: Operator
) -> None:
    """`kubectl delete --cascade=orphan` takes the owner references away: they must not come back."""
    put(api)
    await operator.reconcile()
    before = len(api.writes())
    api.edit("Service", "team", "chat", {"metadata": {"ownerReferences": []}})
    api.at("GET", "/pods$", lambda: begin_to_delete(api))
    assert await operator.reconcile() == Pass("gone", again=0.0)
    assert len(api.writes()) == before


async def test_what_is_no_longer_wanted_goes_last(api: FakeApi, operator: Operator) -> None:
    uid = put(api)["metadata"]["uid"]
    owner = {"apiVersion": names.API_VERSION, "kind": "LLMDeployment", "name": "chat", "uid": uid, "controller": True}
    metadata = {"name": "chat-old", "namespace": "team", "labels": names.labels("chat"), "ownerReferences": [owner]}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    theirs = {"name": "chat-theirs", "namespace": "team", "labels": names.labels("chat")}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": theirs})
    await operator.reconcile()
    assert written(api)[-2:] == ["configmaps/chat-old", "llmdeployments/chat/status"]
    assert api.find("ConfigMap", "team", "chat-old") is None
    assert api.find("ConfigMap", "team", "chat-theirs") is not None


async def test_nothing_is_pruned_when_a_child_cannot_be_applied(api: FakeApi, operator: Operator) -> None:
    uid = put(api)["metadata"]["uid"]
    owner = {"apiVersion": names.API_VERSION, "kind": "LLMDeployment", "name": "chat", "uid": uid, "controller": True}
    metadata = {"name": "chat-old", "namespace": "team", "labels": names.labels("chat"), "ownerReferences": [owner]}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    api.fail(status=500, method="PATCH", path="/networkpolicies")
    with pytest.raises(TransientError):
        await operator.reconcile()
    assert api.find("ConfigMap", "team", "chat-old") is not None


@pytest.mark.parametrize(
    ("fault", "error", "condition", "reason"),
    [
        ({"status": 500}, TransientError, "Reconciling", "ServerUnavailable"),
        ({"drop": True}, TransientError, "Reconciling", "ServerUnavailable"),
        ({"status": 403}, TransientError, "Reconciling", "Forbidden"),
        ({"status": 409}, TransientError, "Reconciling", "Conflict"),
        ({"status": 429}, TransientError, "Reconciling", "Throttled"),
        ({"status": 404}, NotFoundError, "Reconciling", "NotFound"),
        ({"status": 422}, TerminalError, "Stalled", "Rejected"),
    ],
    ids=["500", "dropped", "403", "409", "429", "404", "422"],
)
@pytest.mark.parametrize(
    "place", [{"method": "PATCH", "path": "/deployments"}, {"path": "/pods"}], ids=["write", "read"]
)
async def test_a_failure_is_reported_and_raised(
    api: FakeApi,
    operator: Operator,
    place: Document,
    fault: Document,
    error: type[Exception],
    condition: str,
    reason: str,
) -> None:
    put(api)
    api.fail(**fault, **place)
    with pytest.raises(error):
        await operator.reconcile()
    found = conditions(api)
    assert found[condition]["reason"] == reason
    assert found["Ready"]["status"] != "True"
    assert ("Stalled" in found, "Reconciling" in found) == (condition == "Stalled", condition == "Reconciling")


async def test_a_failing_read_says_nothing_new_about_the_pods(api: FakeApi, operator: Operator) -> None:
    put(api)
    await operator.reconcile()
    before = conditions(api)["Ready"]
    broken = api.fail(status=403, path="/pods")
    with pytest.raises(TransientError):
        await operator.reconcile()
    assert conditions(api)["Ready"] == before
    assert conditions(api)["Reconciling"]["reason"] == "Forbidden"
    writes = len(api.writes())
    with pytest.raises(TransientError):
        await operator.reconcile()
    assert len(api.writes()) == writes
    broken.clear()
    await operator.reconcile()
    assert conditions(api)["Reconciling"]["reason"] == "Progressing"


async def test_a_bug_is_reported_without_its_text(api: FakeApi, operator: Operator) -> None:
    put(api)
    metadata = {"name": "chat-1", "namespace": "team", "labels": names.labels("chat"), "creationTimestamp": "hunter2"}
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    with pytest.raises(ValueError, match="hunter2"):
        await operator.reconcile()
    assert conditions(api)["Reconciling"]["reason"] == "InternalError"
    assert "hunter2" not in str(api.find("LLMDeployment", "team", "chat"))


async def test_a_status_that_cannot_be_written_does_not_hide_the_failure(
    api: FakeApi, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    put(api)
    api.fail(status=500, method="PATCH", path="/status")
    api.fail(status=422, method="PATCH", path="/deployments")
    with pytest.raises(TerminalError, match="422"):
        await operator.reconcile()
    assert "the status cannot be written either" in caplog.text


async def test_without_authority_nothing_is_written(api: FakeApi, operator: Operator) -> None:
    put(api)
    operator.authority = 0
    with pytest.raises(NoAuthorityError):
        await operator.reconcile()
    assert api.writes() == []


async def test_a_hold_reports_and_touches_nothing(api: FakeApi, operator: Operator) -> None:
    put(api, {**SPEC, "guard": {"policyRef": {"name": "absent"}}})
    assert (await operator.reconcile()).outcome == "held"
    assert written(api) == ["llmdeployments/chat/status"]
    assert "absent" in conditions(api)["Reconciling"]["message"]


async def test_running_pods_are_told_of_a_new_configuration_once(api: FakeApi, operator: Operator) -> None:
    put(api)
    status = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"name": "chat-1", "namespace": "team", "labels": names.labels("chat")}
    api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})
    first = await operator.reconcile()
    pod = api.find("Pod", "team", "chat-1") or {}
    wanted = (api.find("LLMDeployment", "team", "chat") or {})["status"]["configuration"]
    assert pod["metadata"]["annotations"] == {names.ANNOTATION_CONFIGURATION: wanted}
    assert first.again is not None
    before = len(api.writes())
    await operator.reconcile()
    assert len(api.writes()) == before


@pytest.mark.parametrize(
    ("kind", "spec", "ready"),
    [
        ("PromptTemplate", TEMPLATE, "True"),
        ("PromptTemplate", {**TEMPLATE, "variables": []}, "False"),
        ("GuardPolicy", {"input": [{"secrets": {}}]}, "True"),
        ("GuardPolicy", {"input": "nonsense"}, "False"),
    ],
    ids=["template", "broken template", "policy", "broken policy"],
)
async def test_templates_and_policies_get_a_status_and_nothing_else(
    api: FakeApi, operator: Operator, kind: str, spec: Document, ready: str
) -> None:
    put(api, spec, kind, "one")
    for _ in range(2):
        assert await operator.reconcile(Key(kind, "team", "one")) == Pass("ok")
    assert conditions(api, kind, "one")["Ready"]["status"] == ready
    assert len(api.writes()) == 1
    assert api.writes()[0].manager == names.STATUS_MANAGER


async def test_a_policy_with_lists_is_looked_at_again(api: FakeApi, operator: Operator) -> None:
    spec = {"input": [{"phrases": {"configMapRef": {"name": "lists", "key": "words"}}}]}
    put(api, spec, "GuardPolicy", "one")
    assert await operator.reconcile(Key("GuardPolicy", "team", "one")) == Pass("ok", 30.0)
    assert "create the ConfigMap lists" in conditions(api, "GuardPolicy", "one")["Ready"]["message"]
    metadata = {"name": "lists", "namespace": "team"}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"words": "zebra"}})
    await operator.reconcile(Key("GuardPolicy", "team", "one"))
    assert conditions(api, "GuardPolicy", "one")["Ready"]["status"] == "True"


async def test_an_object_deleted_before_its_report_is_no_failure(api: FakeApi, operator: Operator) -> None:
    put(api, TEMPLATE, "PromptTemplate", "one")
    api.fail(status=404, method="PATCH", path="/status")
    assert await operator.reconcile(Key("PromptTemplate", "team", "one")) == Pass("ok")


def test_a_status_beyond_http_is_still_told() -> None:
    assert failure(TransientError("GET /x", "odd", 599)).reason == "ServerUnavailable"
