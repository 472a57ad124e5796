"""Some seconds of everything at once, by a fixed seed: in the end all is as the resources say, and at rest."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from tests.operator_.runtime.running import CHILDREN, NAMESPACE, at_rest, condition, deployment, quiet, running
from tests.support.apiserver import FakeApi, until

NAMES = ("chat", "second", "third")
STEPS = 120
EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}


def children(name: str) -> list[tuple[str, str]]:
    return [(kind, one.replace("chat", name)) for kind, one in CHILDREN]


def toggle(api: FakeApi, name: str) -> None:
    """Make an LLMDeployment, or delete the one that is there."""
    if api.find("LLMDeployment", NAMESPACE, name):
        api.remove("LLMDeployment", NAMESPACE, name)
    else:
        api.put(deployment(name))


def scale(api: FakeApi, name: str, replicas: int) -> None:
    if api.find("LLMDeployment", NAMESPACE, name):
        api.edit("LLMDeployment", NAMESPACE, name, {"spec": {"replicas": replicas}})


def meddle(api: FakeApi, kind: str, name: str) -> None:
    """Delete a child that is there."""
    if api.find(kind, NAMESPACE, name):
        api.remove(kind, NAMESPACE, name)


def lose(api: FakeApi) -> None:
    """Let every watch be lost, and one of them read its list again."""
    api.fail(watch=True, status=200, times=1, body=EXPIRED)
    api.break_watches()


def steps(api: FakeApi, chance: random.Random) -> Callable[[], object]:
    name = chance.choice(NAMES)
    kind, child = chance.choice(children(name))
    return chance.choices(
        [
            lambda: toggle(api, name),
            lambda: scale(api, name, chance.randint(1, 9)),
            lambda: meddle(api, kind, child),
            lambda: lose(api),
            lambda: api.fail(status=chance.choice([409, 500]), method="PATCH", times=1, path=name),
        ],
        weights=[20, 20, 40, 5, 15],
    )[0]


async def test_everything_at_once_ends_well(api: FakeApi) -> None:
    chance = random.Random(1)
    async with running(api):
        for _ in range(STEPS):
            steps(api, chance)()
            await asyncio.sleep(chance.uniform(0, 0.04))
        for fault in api.faults:
            fault.clear()
        for name in NAMES:
            wanted = api.find("LLMDeployment", NAMESPACE, name) is not None
            for kind, one in children(name):
                here = lambda kind=kind, one=one: (api.find(kind, NAMESPACE, one) is not None) == wanted  # noqa: E731, B023
                await until(here, f"{kind} {one} {'is there' if wanted else 'is gone'}", 20)
            if wanted:
                await until(lambda name=name: condition(api, "Ready", name), f"{name} has a status")  # type: ignore[misc]
        await at_rest(api)
        assert await quiet(api) == []
    live = {one["metadata"]["uid"] for one in api.all("LLMDeployment")}
    owned = [one for kind, _ in CHILDREN for one in api.all(kind)]
    assert {one["metadata"]["ownerReferences"][0]["uid"] for one in owned} <= live
    assert not [one for one in owned if one["kind"] == "Deployment" and drifted(api, one)]


def drifted(api: FakeApi, child: dict[str, object]) -> bool:
    name = child["metadata"]["name"]  # type: ignore[index]
    owner = api.find("LLMDeployment", NAMESPACE, name) or {"spec": {}}
    return bool(child["spec"]["replicas"] != owner["spec"].get("replicas", 1))  # type: ignore[index]
