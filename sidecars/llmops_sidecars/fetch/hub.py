"""The hub's protocol, as far as it takes: list a commit, get a file from an offset on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import aiohttp
from msgspec import Struct
from yarl import URL

from llmops_sidecars.fetch.addresses import Addresses
from llmops_sidecars.fetch.errors import FetchError, TransientError, UselessError
from llmops_sidecars.fetch.files import RemoteFile, read_listing

CONNECT_SECONDS = 15.0

SILENCE_SECONDS = 60.0
"""How long a server may send nothing."""

READ_BYTES = 1024 * 1024
MAX_LISTING_BYTES = 32 * 1024 * 1024
MAX_REDIRECTS = 5
LONGEST_PAUSE_SECONDS = 60.0

OK, PARTIAL_CONTENT = 200, 206
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, RANGE_NOT_SATISFIABLE = 401, 403, 404, 416
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Content(Struct, frozen=True):
    """A file's content from `offset` on. `size` and `digest` are of the whole file, as far as the hub says."""

    offset: int
    size: int | None
    digest: str | None
    body: aiohttp.StreamReader


class Hub:
    """One commit of one repository. The token is sent to the endpoint and nowhere else."""

    def __init__(self, endpoint: str, repository: str, revision: str, token: str | None) -> None:
        self._endpoint = URL(endpoint)
        self._repository = repository
        self._revision = revision
        self._token = token
        self._addresses = Addresses(self._endpoint)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._addresses),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "llmops-sidecar"},
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
            read_bufsize=READ_BYTES,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def files(self) -> tuple[RemoteFile, ...]:
        """The wanted files of the commit; raises FetchError and TransientError."""
        url = self._endpoint.joinpath("api/models", self._repository, "revision", self._revision).with_query(
            blobs="true"
        )
        async with self._get(url, {}) as (response, _):
            document = bytearray()
            async for block in response.content.iter_any():
                document += block
                if len(document) > MAX_LISTING_BYTES:
                    raise FetchError(f"the hub's list of files is larger than {MAX_LISTING_BYTES} bytes")
        return read_listing(bytes(document), self._revision)

    @asynccontextmanager
    async def content(self, path: str, offset: int) -> AsyncIterator[Content]:
        """A file from `offset` on, or from its beginning when the server does not know ranges."""
        url = self._endpoint.joinpath(self._repository, "resolve", self._revision, path)
        async with self._get(url, {"Range": f"bytes={offset}-"} if offset else {}) as (response, said):
            self._require_commit(said)
            start = _start(response, offset)
            whole = None if response.content_length is None else start + response.content_length
            size = said.get("x-linked-size", "")
            digest = said.get("x-linked-etag", said.get("etag", "")).removeprefix("W/").strip('"')
            yield Content(start, int(size) if size.isdecimal() else whole, digest or None, response.content)

    @asynccontextmanager
    async def _get(
        self, url: URL, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[aiohttp.ClientResponse, Mapping[str, str]]]:
        """The answer after redirects, and what the hub itself said in headers on the way, names in lower case."""
        said: dict[str, str] = {}
        for _ in range(MAX_REDIRECTS + 1):
            self._addresses.require_allowed(url)
            is_hub = url.origin() == self._endpoint.origin()
            fields = {**headers, **(self._credentials() if is_hub else {})}
            async with self._session.get(url, headers=fields, allow_redirects=False) as response:
                if is_hub:
                    said = {name.lower(): value for name, value in response.headers.items()} | said
                if response.status not in REDIRECTS:
                    self._require_success(response, is_hub=is_hub)
                    yield response, said
                    return
                url = _location(url, response)
        raise FetchError(f"the hub redirects more than {MAX_REDIRECTS} times")

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _require_commit(self, said: Mapping[str, str]) -> None:
        commit = said.get("x-repo-commit", self._revision)
        if commit != self._revision:
            raise FetchError(f"the hub answers with commit {commit[:40]!r} for {self._revision}; nothing was kept")

    def _require_success(self, response: aiohttp.ClientResponse, *, is_hub: bool) -> None:
        status = response.status
        if status in {OK, PARTIAL_CONTENT}:
            return
        if status == RANGE_NOT_SATISFIABLE:
            raise UselessError("the server has less of the file than this directory")
        if status in TRY_AGAIN or not is_hub:
            raise TransientError(f"{response.url.host} answers with status {status}", _retry_after(response))
        raise FetchError(self._refusal(status))

    def _refusal(self, status: int) -> str:
        """What a status of the hub means, and what to do."""
        name, page = self._repository, self._endpoint.joinpath(self._repository)
        if status == UNAUTHORIZED and self._token:
            return f"the hub does not accept the token for {name}: it may have expired; put a valid one in its place"
        if status == UNAUTHORIZED:
            return f"{name} does not exist or needs a token: check its name, or name a Secret with a token for it"
        if status == FORBIDDEN:
            return f"the token may not read {name}: accept the model's terms at {page} with the token's account"
        if status == NOT_FOUND:
            hint = "a private one is hidden from tokens that may not read it"
            return f"the hub has no {name} at commit {self._revision}: check both; {hint}"
        return f"the hub refuses {self._repository} with status {status}"


def _location(url: URL, response: aiohttp.ClientResponse) -> URL:
    try:
        return url.join(URL(response.headers["Location"], encoded=True))
    except (KeyError, ValueError) as error:
        raise FetchError(f"{url.host} redirects to nowhere: its answer has no usable Location") from error


def _start(response: aiohttp.ClientResponse, offset: int) -> int:
    """Where the content starts; raises UselessError when the server sends another range than it was asked for."""
    if response.status != PARTIAL_CONTENT:
        return 0
    if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
        raise UselessError("the server sends another part of the file than it was asked for")
    return offset


def _retry_after(response: aiohttp.ClientResponse) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), LONGEST_PAUSE_SECONDS) if value.isdecimal() else 0.0
