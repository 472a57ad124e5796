"""Whether a caller agrees that its words are processed: a header of its own, or a claim of its access token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmops_sidecars.contract import Consent
from llmops_sidecars.openai.errors import consent_required
from llmops_sidecars.proxy.asgi import Scope, header

YES = frozenset({"1", "granted", "true", "yes"})
"""What a header or claim says, in whatever letters; anything else is no consent."""

NO_CLAIMS: Mapping[str, Any] = {}


def agreed(consent: Consent | None, scope: Scope, claims: Mapping[str, Any] = NO_CLAIMS) -> bool | None:
    """Whether the caller agrees; None where nobody asks. `claims` are those of a checked token: without one, none."""
    if consent is None:
        return None
    if consent.header is not None:
        return _says_yes(header(scope, consent.header.lower().encode("latin-1", "replace")))
    return _says_yes(claims.get(consent.claim or ""))


def require(consent: Consent | None, agreed: bool | None) -> None:  # noqa: FBT001 - what `agreed` said
    """Raises ApiError (403) where a caller has to agree and does not."""
    if consent is not None and consent.required and not agreed:
        raise consent_required(consent.header, consent.claim)


def _says_yes(value: Any) -> bool:
    return value is True or str(value).strip().lower() in YES
