"""Whether a live object still holds what was applied.

Server-side apply owns single fields and single items of lists with a key, so only those are compared: what others
add beside them stays unseen. What the server rewrites (quantities, defaults, empty values) is no difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmops_operator import names
from llmops_operator.api.units import to_number
from llmops_operator.world import Document

_KEYS = {
    "containers": "name",
    "env": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "ports": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
"""Lists that several managers may share, and what names an item; every other list is one value (API reference)."""

_WHOLE = frozenset({"matchLabels", "namespaceSelector", "nodeSelector", "podSelector", "selector"})
"""Maps that are one value: one more entry selects other pods."""

_QUANTITIES = frozenset({"limits", "requests"})


def needs_apply(live: Document | None, desired: Document) -> str | None:
    """Why the desired object must be applied, or None when the live one holds all of it."""
    if live is None:
        return "it does not exist"
    if intent(live) != intent(desired):
        return "what is wanted changed"
    changed = _difference(live, desired, "")
    return None if changed is None else f"{changed.removeprefix('.')} was changed by somebody else"


def intent(document: Document) -> str | None:
    """The digest of what was last applied to a live object, or is to be applied."""
    found: str | None = (document["metadata"].get("annotations") or {}).get(names.ANNOTATION_INTENT)
    return found


def _difference(live: Any, desired: Any, path: str) -> str | None:
    """The path of the first wanted value that the live one lacks."""
    if isinstance(desired, Mapping):
        return _of_mapping(live, desired, path)
    if isinstance(desired, Sequence) and not isinstance(desired, str):
        return _of_list(live, desired, path)
    return None if live == desired else path


def _of_mapping(live: Any, desired: Mapping[str, Any], path: str) -> str | None:
    if not isinstance(live, Mapping):
        return path if desired else None
    for key, value in desired.items():
        found = _of_entry(live.get(key), key, value, path)
        if found is not None:
            return found
    return None


def _of_entry(live: Any, key: str, desired: Any, path: str) -> str | None:
    here = f"{path}.{key}"
    if live is None and desired in (None, "", {}, []):
        return None
    if key in _WHOLE:
        return None if live == desired else here
    if key == "sizeLimit" or path.rpartition(".")[2] in _QUANTITIES:
        return None if _same_quantity(live, desired) else here
    return _difference(live, desired, here)


def _of_list(live: Any, desired: Sequence[Any], path: str) -> str | None:
    found = live if isinstance(live, Sequence) else ()
    key = _KEYS.get(path.rpartition(".")[2].partition("[")[0])
    if key and all(isinstance(one, Mapping) and key in one for one in desired):
        return _of_keyed(found, desired, key, path)
    if len(found) != len(desired):
        return path
    pairs = enumerate(zip(found, desired, strict=True))
    return _first(_difference(one, wanted, f"{path}[{index}]") for index, (one, wanted) in pairs)


def _of_keyed(live: Sequence[Any], desired: Sequence[Mapping[str, Any]], key: str, path: str) -> str | None:
    places = {one.get(key): place for place, one in enumerate(live)}
    order = [places.get(one[key]) for one in desired]
    for one, place in zip(desired, order, strict=True):
        here = f"{path}[{one[key]}]"
        found = here if place is None else _difference(live[place], one, here)
        if found is not None:
            return found
    return None if order == sorted(place for place in order if place is not None) else path


def _first(found: Any) -> str | None:
    return next((one for one in found if one is not None), None)


def _same_quantity(live: object, desired: object) -> bool:
    try:
        return to_number(str(live)) == to_number(str(desired))
    except ValueError:  # a form that we never write
        return live == desired
