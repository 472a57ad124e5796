"""Fetching an issuer's key set: from where the configuration says and from nowhere else, in bounded time and size."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from llmops_sidecars.contract import Jwt
from llmops_sidecars.guard.access.tokens import KeySet, key_set
from llmops_sidecars.proxy.watched import UnusableError

OK = 200
MOST_BYTES = 256 * 1024
SECONDS = 5.0
"""For one document, from the look-up of the name to the last byte."""

DISCOVERY_PATH = "/.well-known/openid-configuration"


async def fetch_key_set(settings: Jwt, *, seconds: float = SECONDS) -> KeySet:
    """The issuer's keys now; raises UnusableError, which says what went wrong and repeats nothing that was answered.

    Redirects are not followed, and an OpenID configuration may name keys on the issuer's own host only: which hosts
    are asked is for the configuration to say, not for whoever answers.
    """
    url = settings.jwks_url or await _discovered(settings, seconds)
    return key_set(await _get(url, settings.ca_file, seconds))


async def _discovered(settings: Jwt, seconds: float) -> str:
    url = settings.issuer.rstrip("/") + DISCOVERY_PATH
    try:
        document = msgspec.json.decode(await _get(url, settings.ca_file, seconds), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableError(f"{url} is not a JSON object") from error
    if document.get("issuer") != settings.issuer:
        raise UnusableError(f"{url} is the configuration of another issuer; the issuer is compared letter by letter")
    found = document.get("jwks_uri")
    if not isinstance(found, str) or _place(found) != _place(settings.issuer):
        raise UnusableError(f"{url} names keys that are not on the issuer's host: give their URL yourself")
    return found


async def _get(url: str, ca_file: str | None, seconds: float) -> bytes:
    timeout = aiohttp.ClientTimeout(total=seconds)
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    try:
        context = ssl.create_default_context(cafile=ca_file)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers, auto_decompress=False) as session,
            session.get(url, ssl=context, allow_redirects=False) as response,
        ):
            if response.status != OK:
                raise UnusableError(f"{url} answers with status {response.status}")
            return await _read(url, response)
    except TimeoutError as error:
        raise UnusableError(f"{url} does not answer within {seconds:g} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise UnusableError(f"{url} has a certificate that is not trusted") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, UnusableError):
            raise
        raise UnusableError(f"{url} cannot be asked ({type(error).__name__})") from error


async def _read(url: str, response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for piece in response.content.iter_chunked(64 * 1024):
        content += piece
        if len(content) > MOST_BYTES:
            raise UnusableError(f"{url} answers with more than {MOST_BYTES} bytes")
    return bytes(content)


def _place(url: str) -> tuple[str, str | None, int | None]:
    try:
        parsed = URL(url)
    except ValueError:
        return "", None, None
    return parsed.scheme, parsed.host, parsed.port
