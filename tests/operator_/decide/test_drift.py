"""Drift: what others changed of ours is seen, what they added or the server rewrote is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops_operator import names
from llmops_operator.decide.drift import needs_apply
from llmops_operator.decide.plan import plan
from tests.operator_.decide.worlds import CPU, EXTERNAL, GPU, HUB, world

Document = dict[str, Any]

WANTED: Document = {
    "metadata": {
        "name": "chat",
        "annotations": {names.ANNOTATION_INTENT: "1"},
        "ownerReferences": [{"uid": "u", "controller": True}],
    },
    "spec": {
        "replicas": 2,
        "selector": {"app": "chat"},
        "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "2048Mi"}, "requests": {"cpu": "0.5"}},
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "shm", "emptyDir": {"sizeLimit": "1024Mi"}}],
        "initContainers": [{"name": "cache", "args": ["cache", "--a"]}, {"name": "guard", "env": []}],
        "ingress": [{"ports": [{"port": 8080}]}, {"ports": [{"port": 9090}]}],
    },
}


def changed(path: str, value: object) -> Document:
    """WANTED as a live object in which one value is another; `...` removes it."""
    live = deepcopy(WANTED)
    *way, last = path.split("/")
    target: Any = live
    for step in way:
        target = target[int(step)] if isinstance(target, list) else target[step]
    if value is ...:
        del target[int(last) if isinstance(target, list) else last]
    elif isinstance(target, list):
        target.insert(int(last), value)
    else:
        target[last] = value
    return live


SAME: dict[str, Document] = {
    "equal": WANTED,
    "default added": changed("spec/strategy", {"type": "RollingUpdate"}),
    "default in an item": changed("spec/initContainers/0/terminationMessagePath", "/dev/x"),
    "quantity rewritten": changed("spec/resources/limits/memory", "2Gi"),
    "fraction rewritten": changed("spec/resources/requests/cpu", "500m"),
    "size rewritten": changed("spec/volumes/1/emptyDir/sizeLimit", "1Gi"),
    "foreign volume": changed("spec/volumes/0", {"name": "theirs"}),
    "foreign sidecar between": changed("spec/initContainers/1", {"name": "theirs"}),
    "foreign annotation": changed("metadata/annotations/theirs", "x"),
    "foreign label": changed("metadata/labels", {"theirs": "x"}),
    "foreign owner": changed("metadata/ownerReferences/0", {"uid": "v"}),
    "empty list dropped": changed("spec/initContainers/1/env", ...),
    "empty map dropped": changed("spec/volumes/0/emptyDir", ...),
    "port's protocol defaulted": changed("spec/ingress/0/ports/0/protocol", "TCP"),
}

DIFFERENT: dict[str, tuple[Document, str]] = {
    "value": (changed("spec/replicas", 0), "spec.replicas"),
    "value removed": (changed("spec/replicas", ...), "spec.replicas"),
    "argument": (changed("spec/initContainers/0/args/1", "--b"), "spec.initContainers[cache].args"),
    "item removed": (changed("spec/initContainers/0", ...), "spec.initContainers[cache]"),
    "list removed": (changed("spec/volumes", ...), "spec.volumes[tmp]"),
    "map removed": (changed("spec/resources", ...), "spec.resources"),
    "selector widened": (changed("spec/selector/x", "y"), "spec.selector"),
    "entry in a list without keys": (changed("spec/ingress/2", {}), "spec.ingress"),
    "order in a list without keys": (changed("spec/ingress/0/ports/0/port", 1), "spec.ingress[0].ports[0].port"),
    "quantity": (changed("spec/resources/limits/memory", "3Gi"), "spec.resources.limits.memory"),
    "quantity removed": (changed("spec/resources/limits/memory", ...), "spec.resources.limits.memory"),
    "strange quantity": (changed("spec/resources/limits/memory", "many"), "spec.resources.limits.memory"),
    "owner removed": (changed("metadata/ownerReferences", []), "metadata.ownerReferences[u]"),
    "another type": (changed("spec/resources", "none"), "spec.resources"),
}


@pytest.mark.parametrize("live", SAME.values(), ids=SAME.keys())
def test_what_is_not_ours_is_no_drift(live: Document) -> None:
    assert needs_apply(live, WANTED) is None


@pytest.mark.parametrize(("live", "path"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_a_change_of_ours_is_named(live: Document, path: str) -> None:
    assert needs_apply(live, WANTED) == f"{path} was changed by somebody else"


def test_the_order_of_sidecars_counts() -> None:
    live = deepcopy(WANTED)
    live["spec"]["initContainers"].reverse()
    assert needs_apply(live, WANTED) == "spec.initContainers was changed by somebody else"


def test_a_missing_object_is_applied() -> None:
    assert needs_apply(None, WANTED) == "it does not exist"


@pytest.mark.parametrize("annotations", [{names.ANNOTATION_INTENT: "0"}, {}, None], ids=["other", "none", "null"])
def test_another_intent_is_applied_even_when_nothing_differs(annotations: object) -> None:
    """A field that is no longer wanted is a difference that only the digest shows."""
    assert needs_apply(changed("metadata/annotations", annotations), WANTED) == "what is wanted changed"


CHILDREN = [one.document for spec in (CPU, GPU, HUB, EXTERNAL) for one in plan(world(spec)).children]
WHOLE = ("selector", "matchLabels", "nodeSelector", "podSelector", "namespaceSelector")
NAMED = ("containers", "initContainers", "volumes", "env", "ports")


@given(st.sampled_from(CHILDREN), st.data())
def test_whatever_others_add_is_no_drift(child: Document, data: st.DataObject) -> None:
    live = deepcopy(child)
    places = list(_open_places(live))
    for place in data.draw(st.lists(st.sampled_from(places), max_size=5), "places"):
        if isinstance(place, dict):
            place.setdefault(f"theirs-{data.draw(st.integers(0, 9))}", data.draw(_values()))
        else:
            place.insert(data.draw(st.integers(0, len(place))), {"name": f"theirs-{data.draw(st.integers(0, 9))}"})
    assert needs_apply(live, child) is None


@given(st.sampled_from(CHILDREN), st.data())
def test_whatever_others_change_of_ours_is_drift(child: Document, data: st.DataObject) -> None:
    live = deepcopy(child)
    holder, key = data.draw(st.sampled_from(list(_leaves(live))))
    holder[key] = "changed by somebody"
    assert needs_apply(live, child) is not None


@given(st.sampled_from(CHILDREN))
def test_what_was_applied_is_no_drift(child: Document) -> None:
    assert needs_apply(deepcopy(child), child) is None


def _values() -> st.SearchStrategy[Any]:
    return st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.just({"a": 1}), st.just([1]))


def _open_places(value: Any, name: str = "") -> Iterator[Any]:
    """The maps and keyed lists of a document that others may add to."""
    if isinstance(value, dict) and name not in WHOLE:
        yield value
        for key, one in value.items():
            yield from _open_places(one, key)
    if isinstance(value, list):
        if value and name in NAMED and all(isinstance(one, Mapping) and "name" in one for one in value):
            yield value
        for one in value:
            yield from _open_places(one)


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every single value of a document, as holder and key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in list(pairs):
        if isinstance(one, dict | list):
            yield from _leaves(one)
        else:
            yield value, key
