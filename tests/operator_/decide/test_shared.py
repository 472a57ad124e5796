"""What is said about a shared cache that pods do without, and that it makes nothing unready."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmops_operator.decide.plan import ASK_RARELY, plan
from llmops_operator.decide.status import deployment_status
from llmops_operator.world import Report, World
from tests.operator_.decide.worlds import CPU, rolled_out, world

Document = dict[str, Any]
VALKEY: Document = {
    "url": "valkeys://chat@valkey",
    "credentialsSecretRef": {"name": "valkey", "key": "password"},
    "caSecretName": "valkey-ca",
}


def saying(problem: str | None, valkey: Document) -> World:
    """A pod that serves, and whose cache says this of its store."""
    before = rolled_out(world(CPU | {"cache": {"exact": {}, "shared": {"valkey": valkey}}}))
    wanted = plan(before).configuration
    return replace(before, guards={"chat-0": Report(wanted, None, wanted, shared_cache=problem)})


def conditions(observed: World) -> dict[str, Document]:
    return {one["type"]: one for one in deployment_status(observed, plan(observed))["conditions"]}


@pytest.mark.parametrize(
    ("problem", "valkey", "words"),
    [
        (
            "the password cannot be read: No such file or directory",
            VALKEY,
            "Secret valkey needs the data key password with the user's password",
        ),
        ("it refuses the user name or the password (WRONGPASS)", VALKEY, "Secret valkey needs the data key password"),
        ("the authorities cannot be read: No such file", VALKEY, "Secret valkey-ca needs the data key ca.crt"),
        ("its certificate is not trusted: self-signed", VALKEY, "Secret valkey-ca needs the data key ca.crt"),
        ("its certificate is not trusted: self-signed", {"url": "valkeys://valkey"}, "by each pod alone"),
        ("it wants a password (NOAUTH)", {"url": "valkey://valkey"}, "by each pod alone"),
        ("it does not answer", VALKEY, "answers are remembered by each pod alone until it can be used"),
    ],
)
def test_what_is_in_the_way_is_told_by_the_specs_names(problem: str, valkey: Document, words: str) -> None:
    observed = saying(problem, valkey)
    told = conditions(observed)
    assert told["Ready"]["status"] == "True"
    found = told["SharedCacheUnavailable"]
    assert (found["status"], found["reason"]) == ("True", "CannotBeUsed")
    assert found["message"].startswith(f"pod chat-0 does without {valkey['url']}: {problem}")
    assert words in found["message"]
    assert plan(observed).requeue_after == ASK_RARELY


def test_a_store_that_works_is_not_spoken_of() -> None:
    observed = saying(None, VALKEY)
    assert "SharedCacheUnavailable" not in conditions(observed)
    assert plan(observed).requeue_after is None


def test_without_a_store_what_a_pod_says_of_one_is_old() -> None:
    before = rolled_out(world(CPU))
    wanted = plan(before).configuration
    observed = replace(before, guards={"chat-0": Report(wanted, None, wanted, shared_cache="it does not answer")})
    assert "SharedCacheUnavailable" not in conditions(observed)
