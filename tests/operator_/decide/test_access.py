"""What is said about access: that it is open, and what its Secrets and its issuer lack, by their names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmops_operator.decide.plan import ASK_RARELY, plan
from llmops_operator.decide.status import deployment_status
from llmops_operator.world import Container, Report, Unreachable, World
from tests.operator_.decide.worlds import CPU, NOW, pod, reported, rolled_out, waiting_pod, with_children, world

Document = dict[str, Any]
KEYS: Document = {"apiKeys": {"secretName": "chat-keys"}}
JWT: Document = {"jwt": {"issuer": "https://login.example", "audiences": ["chat"], "caSecretName": "login-ca"}}
TLS: Document = {"tls": {"secretName": "chat-tls"}}
MUTUAL: Document = {"tls": {"secretName": "chat-tls", "clientCASecretName": "clients", "clientTenant": "URI"}}
GUARD = Container("guard", running=True)


def having(found: Document) -> World:
    return world(CPU | {"access": found})


def conditions(observed: World) -> dict[str, Document]:
    return {one["type"]: one for one in deployment_status(observed, plan(observed))["conditions"]}


def saying(found: Document, *problems: tuple[str, str]) -> World:
    """A pod that serves, and whose guard says this of its access."""
    before = rolled_out(having(found))
    wanted = plan(before).configuration
    return replace(before, guards={"chat-0": Report(wanted, None, wanted, access=problems)})


@pytest.mark.parametrize(
    ("found", "is_open"),
    [
        ({}, True),
        (TLS, True),
        ({"default": {"requestsPerMinute": 1}}, True),
        (KEYS, False),
        (JWT, False),
        (MUTUAL, False),
    ],
    ids=["nothing", "tls alone", "limits alone", "keys", "tokens", "certificates"],
)
def test_open_access_is_told_and_makes_nothing_unready(*, found: Document, is_open: bool) -> None:
    told = conditions(rolled_out(having(found)))
    assert told["Ready"]["status"] == "True"
    assert ("AccessOpen" in told) is is_open
    if is_open:
        assert (told["AccessOpen"]["status"], told["AccessOpen"]["reason"]) == ("True", "NoAccessConfigured")
        assert "give spec.access apiKeys" in told["AccessOpen"]["message"]


def test_nothing_is_said_of_the_access_of_a_spec_that_cannot_be_read() -> None:
    assert "AccessOpen" not in conditions(world(CPU | {"x": 1}))


@pytest.mark.parametrize(
    ("found", "part", "words"),
    [
        (KEYS, "apiKeys", "Secret chat-keys needs a data key for each tenant"),
        (TLS, "tls", "Secret chat-tls needs the data keys tls.crt and tls.key; pod"),
        (MUTUAL, "tls", "tls.crt and tls.key, and Secret clients the data key ca.crt; pod"),
        (JWT, "jwt", "issuer https://login.example have to be reachable, and Secret login-ca the data key ca.crt"),
        (KEYS, "unheard-of", "spec.access.unheard-of has to be corrected"),
    ],
    ids=["keys", "tls", "mutual", "issuer", "unknown"],
)
def test_a_guard_that_goes_on_with_the_last_good_is_told_by_the_secrets_name(
    found: Document, part: str, words: str
) -> None:
    observed = saying(found, (part, "it is broken"))
    told = conditions(observed)
    assert told["Ready"]["status"] == "True"
    assert (told["AccessInvalid"]["status"], told["AccessInvalid"]["reason"]) == ("True", "CannotBeUsed")
    assert words in told["AccessInvalid"]["message"]
    assert told["AccessInvalid"]["message"].endswith("pod chat-0 says: it is broken")
    assert plan(observed).requeue_after == ASK_RARELY, "no event tells when the Secret is mended"


def test_with_nothing_to_complain_about_nobody_is_asked_again() -> None:
    observed = saying(KEYS)
    assert "AccessInvalid" not in conditions(observed)
    assert plan(observed).requeue_after is None


def unready(found: Document, report: Report | Unreachable) -> World:
    before = with_children(having(found))
    workload = dict(before.child("Deployment", "chat") or {})
    workload["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    children = tuple(workload if one["kind"] == "Deployment" else one for one in before.children)
    return replace(before, children=children, pods=(waiting_pod("chat-0", GUARD),), guards={"chat-0": report})


def test_a_missing_secret_keeps_the_pod_from_serving_and_is_named() -> None:
    observed = unready(KEYS, Report("d", access=(("apiKeys", "there is no key"),)))
    told = conditions(observed)
    assert (told["Ready"]["status"], told["Ready"]["reason"]) == ("False", "AccessInvalid")
    assert told["Reconciling"]["message"].startswith("Secret chat-keys needs a data key for each tenant")
    assert plan(observed).requeue_after == ASK_RARELY


def test_a_guard_that_has_not_said_it_yet_is_asked_again() -> None:
    starting = Unreachable("no connection")
    assert plan(unready(KEYS, starting)).requeue_after == ASK_RARELY
    assert plan(unready({}, starting)).requeue_after is None


def test_a_starting_pod_that_does_not_answer_yet_is_not_nudged() -> None:
    fresh = replace(pod("chat-0", GUARD), ready=False, created=NOW)
    before = replace(unready(KEYS, Unreachable("no connection")), pods=(fresh,))
    assert plan(before).nudges == ()


def test_the_url_says_how_clients_are_served() -> None:
    assert deployment_status(having(TLS), plan(having(TLS)))["url"] == "https://chat.team-a.svc/v1"
    before = reported(rolled_out(having(TLS)))
    held = replace(before, deployment=replace(world(CPU | {"x": 1}).deployment, status=before.deployment.status))
    assert deployment_status(held, plan(held))["url"] == "https://chat.team-a.svc/v1"
