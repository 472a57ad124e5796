from __future__ import annotations

from typing import Any

import pytest

from llmops_operator import names
from llmops_operator.cluster import kinds
from llmops_operator.cluster.client import Client, NoAuthorityError
from llmops_operator.cluster.errors import NotFoundError, TerminalError, TransientError
from tests.support.apiserver import FakeApi

Document = dict[str, Any]


def config_map(name: str = "one", **data: str) -> Document:
    metadata = {"name": name, "namespace": "team", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_get_and_not_found(api: FakeApi, client: Client) -> None:
    api.put(config_map(a="1"))
    assert (await client.get(kinds.CONFIG_MAP, "team", "one"))["data"] == {"a": "1"}
    with pytest.raises(NotFoundError, match="GET /api/v1/namespaces/team/configmaps/two: 404"):
        await client.get(kinds.CONFIG_MAP, "team", "two")


async def test_list_reads_every_page_and_names_kinds(api: FakeApi, client: Client) -> None:
    api.page_size = 2
    for name in "abcde":
        api.put(config_map(name))
    found = await client.list(kinds.CONFIG_MAP, "team")
    assert [one["metadata"]["name"] for one in found] == list("abcde")
    assert {(one["apiVersion"], one["kind"]) for one in found} == {("v1", "ConfigMap")}
    assert len(api.log) == 3
    assert [one["metadata"]["name"] for one in await client.list(kinds.CONFIG_MAP, None, "app=c")] == ["c"]


async def test_a_page_that_is_too_old_starts_the_list_again(api: FakeApi, client: Client) -> None:
    api.put(config_map())
    api.fail(status=410, times=2)
    assert len(await client.list(kinds.CONFIG_MAP)) == 1
    api.fail(status=410, times=3)
    with pytest.raises(TransientError, match="410"):
        await client.list(kinds.CONFIG_MAP)


async def test_apply_leaves_the_fields_of_others_and_takes_back_its_own(api: FakeApi, client: Client) -> None:
    await client.apply(config_map(a="1", b="1"))
    api.edit("ConfigMap", "team", "one", {"data": {"a": "9", "theirs": "x"}})
    answer = await client.apply(config_map(a="1"))
    assert answer["data"] == {"a": "1", "theirs": "x"}
    assert [(one.method, one.manager) for one in api.writes()] == [("PATCH", names.CHILD_MANAGER)] * 2


async def test_status_goes_to_its_own_place_by_its_own_manager(api: FakeApi, client: Client) -> None:
    metadata = {"name": "chat", "namespace": "team"}
    api.put({"apiVersion": names.API_VERSION, "kind": "LLMDeployment", "metadata": metadata, "spec": {"a": 1}})
    status = {"apiVersion": names.API_VERSION, "kind": "LLMDeployment", "metadata": metadata, "status": {"url": "u"}}
    answer = await client.apply_status(status)
    assert (answer["spec"], answer["status"], answer["metadata"]["generation"]) == ({"a": 1}, {"url": "u"}, 1)
    assert api.log[-1].path.endswith("/llmdeployments/chat/status")
    assert api.log[-1].manager == names.STATUS_MANAGER


async def test_preconditions(api: FakeApi, client: Client) -> None:
    live = api.put(config_map())
    change = {"metadata": {"resourceVersion": "1", "annotations": {"a": "b"}}}
    with pytest.raises(TransientError, match="409"):
        await client.patch(kinds.CONFIG_MAP, "team", "one", change)
    with pytest.raises(TransientError, match="409"):
        await client.delete(kinds.CONFIG_MAP, "team", "one", "another")
    assert api.find("ConfigMap", "team", "one") is not None
    await client.delete(kinds.CONFIG_MAP, "team", "one", live["metadata"]["uid"])
    assert api.find("ConfigMap", "team", "one") is None
    await client.delete(kinds.CONFIG_MAP, "team", "one", live["metadata"]["uid"])


async def test_create_once(client: Client) -> None:
    await client.create(config_map())
    with pytest.raises(TransientError, match="409") as caught:
        await client.create(config_map())
    assert caught.value.reason == "AlreadyExists"


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ({"status": 500}, TransientError, "500"),
        ({"status": 429, "headers": {"Retry-After": "9"}}, TransientError, "429"),
        ({"status": 403}, TransientError, "403"),
        ({"status": 422}, TerminalError, "422"),
        ({"drop": True}, TransientError, "no connection"),
        ({"status": 200, "body": ["no", "object"]}, TransientError, "not an object"),
    ],
    ids=["500", "429", "403", "422", "dropped", "nonsense"],
)
async def test_faults_become_errors(
    api: FakeApi, client: Client, fault: Document, error: type[Exception], message: str
) -> None:
    api.fail(**fault)
    with pytest.raises(error, match=message) as caught:
        await client.get(kinds.CONFIG_MAP, "team", "one")
    assert getattr(caught.value, "retry_after", None) == (9.0 if fault.get("headers") else None)


async def test_a_server_that_does_not_answer_in_time(api: FakeApi) -> None:
    api.put(config_map())
    client = Client(api.connection(), seconds=0.05)
    with pytest.raises(TransientError, match="no answer in time"):
        await client._send("GET", kinds.CONFIG_MAP.path(), {"watch": "true"})
    await client.close()


async def test_no_write_without_authority(api: FakeApi) -> None:
    left, written = [0.0], []
    client = Client(api.connection(), lambda: left[0], lambda kind, verb: written.append((kind, verb)))
    with pytest.raises(NoAuthorityError, match="not sent"):
        await client.apply(config_map())
    assert not api.log
    left[0] = 5.0
    await client.apply(config_map())
    assert written == [("ConfigMap", "apply")]
    await client.close()


async def test_a_write_is_cut_off_when_authority_ends(api: FakeApi) -> None:
    client = Client(api.connection(), lambda: 0.000_001)
    with pytest.raises(TransientError, match="no answer in time"):
        await client.apply(config_map())
    await client.close()


async def test_served_kinds(api: FakeApi, client: Client) -> None:
    assert await client.served(names.GROUP, names.VERSION) == {kind.plural for kind in kinds.OWN}
    api.hidden_groups.add(names.GROUP)
    assert await client.served(names.GROUP, names.VERSION) == frozenset()


async def test_every_request_is_authorized(api: FakeApi) -> None:
    client = Client(api.connection("somebody"))
    await client.list(kinds.CONFIG_MAP)
    assert api.log[0].who == "somebody"
    await client.close()
