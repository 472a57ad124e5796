"""A server that speaks the Hugging Face hub's protocol: it lists commits, serves small files, redirects for large ones.

In a test: `async with running_hub(repository) as hub`. On its own, for pods, with nothing but aiohttp beside it:

    python hub.py --root DIR --port 8080 --storage-port 8081 --storage-url http://hub.example:8081

serves each DIR/owner/name with the files below it as one commit, whose number it prints.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from aiohttp import web

LARGE_SUFFIXES = (".safetensors", ".bin", ".pt")
"""What a hub keeps in its storage; everything else is a Git object."""

SIGNATURE = "signed-by-the-hub"
"""What a redirect's URL carries instead of a token; nobody may log it."""


class Fault(Enum):
    """How the next answer with a file's content goes wrong."""

    CUT = auto()  # the connection ends in the middle
    BUSY = auto()  # 503, with Retry-After
    CORRUPT = auto()  # one byte is another
    LONG = auto()  # a byte too many
    WHOLE = auto()  # the range is ignored
    SHIFTED = auto()  # another range than the one asked for
    NO_RANGE = auto()  # 416


@dataclass(frozen=True)
class Repository:
    """One commit of one repository. With `token`, it is gated: 401 without one, 403 with another."""

    name: str
    files: Mapping[str, bytes]
    token: str | None = None

    @property
    def commit(self) -> str:
        """A number that depends on all content."""
        digest = hashlib.sha1(self.name.encode(), usedforsecurity=False)
        for path, content in sorted(self.files.items()):
            digest.update(f"{path} {hashlib.sha256(content).hexdigest()}".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Request:
    """A request that arrived; `server` is "hub" or "storage"."""

    server: str
    path: str
    authorization: str | None
    range: str | None


@dataclass
class FakeHub:
    """Both servers' state. `faults` meet the answers with content, in order; `redirect_to` replaces `storage_url`."""

    repositories: dict[str, Repository]
    url: str = ""
    storage_url: str = ""
    redirect_to: str | None = None
    flaky: bool = False  # each file is cut once
    blobs: bool = True  # off: the listing has names only, as that of a simple mirror
    etags: bool = True  # off: nor do headers say what a file should be
    moved: dict[str, str] = field(default_factory=dict)  # former names of repositories
    retry_after: int = 0  # seconds, of Fault.BUSY
    listing: Callable[[Repository], Any] | None = None  # another listing than the true one
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    _cut: set[str] = field(default_factory=set)

    def hub_app(self) -> web.Application:
        """The hub's own server."""
        app = web.Application()
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._list)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve)
        return app

    def storage_app(self) -> web.Application:
        """The storage's server."""
        app = web.Application()
        app.router.add_get("/{digest}", self._stored)
        return app

    def content_requests(self, path: str) -> list[Request]:
        """Those that were answered with a file's content, by the file's path or its digest in the storage."""
        digests = {
            hashlib.sha256(repository.files[path]).hexdigest()
            for repository in self.repositories.values()
            if path in repository.files
        }
        return [each for each in self.requests if each.path.endswith(f"/{path}") or each.path[1:] in digests]

    def _note(self, server: str, request: web.Request) -> None:
        headers = request.headers
        self.requests.append(Request(server, request.path, headers.get("Authorization"), headers.get("Range")))

    def _repository(self, request: web.Request) -> Repository:
        """The repository, or the status that the hub answers with."""
        self._note("hub", request)
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if name in self.moved:
            raise web.HTTPTemporaryRedirect(request.path_qs.replace(name, self.moved[name], 1))
        repository = self.repositories.get(name)
        if repository is None:
            raise web.HTTPNotFound if given else web.HTTPUnauthorized
        if repository.token is not None and given != repository.token:
            raise web.HTTPForbidden if given else web.HTTPUnauthorized
        if request.match_info["revision"] not in {repository.commit, "main"}:
            raise web.HTTPNotFound
        return repository

    async def _list(self, request: web.Request) -> web.Response:
        repository = self._repository(request)
        if self.listing is not None:
            return web.json_response(self.listing(repository))
        blobs = request.query.get("blobs") == "true" and self.blobs
        return web.json_response(list_commit(repository, blobs=blobs))

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        repository, path = self._repository(request), request.match_info["path"]
        if path not in repository.files:
            raise web.HTTPNotFound
        content = repository.files[path]
        headers = {"X-Repo-Commit": repository.commit}
        if self.etags:
            headers["ETag"] = f'"{git_object(content)}"'
        if not path.endswith(LARGE_SUFFIXES):
            return await self._send(request, content, path, headers)
        digest = hashlib.sha256(content).hexdigest()
        if self.etags:
            headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        location = f"{self.redirect_to or self.storage_url}/{digest}?signature={SIGNATURE}"
        return web.Response(status=302, headers=headers | {"Location": location})

    async def _stored(self, request: web.Request) -> web.StreamResponse:
        self._note("storage", request)
        if request.query.get("signature") != SIGNATURE:
            raise web.HTTPForbidden
        for repository in self.repositories.values():
            for content in repository.files.values():
                if hashlib.sha256(content).hexdigest() == request.match_info["digest"]:
                    return await self._send(request, content, request.path, {"ETag": '"d41d8cd98f-2"'})
        raise web.HTTPNotFound

    def _fault(self, path: str) -> Fault | None:
        if self.flaky and path not in self._cut:
            self._cut.add(path)
            return Fault.CUT
        return self.faults.popleft() if self.faults else None

    async def _send(
        self, request: web.Request, content: bytes, path: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        fault = self._fault(path)
        start = request.http_range.start or 0
        if fault is Fault.BUSY:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": str(self.retry_after)})
        if fault is Fault.NO_RANGE or start > len(content):
            raise web.HTTPRequestRangeNotSatisfiable
        if fault is Fault.WHOLE:
            start = 0
        if fault is Fault.SHIFTED:
            start += 1
        status = 206 if "Range" in request.headers and fault is not Fault.WHOLE else 200
        if status == 206:
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        return await _transmit(request, content[start:], fault, web.StreamResponse(status=status, headers=headers))


async def _transmit(
    request: web.Request, content: bytes, fault: Fault | None, response: web.StreamResponse
) -> web.StreamResponse:
    if fault is Fault.CORRUPT:
        content = bytes([content[0] ^ 1]) + content[1:]
    if fault is Fault.LONG:
        content += b"!"
    response.content_length = len(content)
    await response.prepare(request)
    if fault is Fault.CUT:
        await response.write(content[: len(content) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    await response.write(content)
    await response.write_eof()
    return response


def git_object(content: bytes) -> str:
    """The name that Git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def list_commit(repository: Repository, *, blobs: bool = True) -> dict[str, Any]:
    """What the hub answers with to a listing."""
    siblings = [_sibling(path, content) if blobs else {"rfilename": path} for path, content in repository.files.items()]
    return {"id": repository.name, "sha": repository.commit, "private": False, "siblings": siblings}


def _sibling(path: str, content: bytes) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_object(content)}
    if path.endswith(LARGE_SUFFIXES):
        pointer = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        sibling |= {"blobId": git_object(b"version https://git-lfs.github.com/spec/v1\n"), "lfs": pointer}
    return sibling


@asynccontextmanager
async def running_hub(
    *repositories: Repository, host: str = "127.0.0.1", port: int = 0, storage_port: int = 0
) -> AsyncIterator[FakeHub]:
    """Both servers, until the block is left; port 0 is a free one."""
    hub = FakeHub({repository.name: repository for repository in repositories})
    runners = [web.AppRunner(app, shutdown_timeout=1) for app in (hub.hub_app(), hub.storage_app())]
    try:
        for runner, wanted in zip(runners, (port, storage_port), strict=True):
            await runner.setup()
            await web.TCPSite(runner, host, wanted).start()
        hub.url, hub.storage_url = (f"http://{host}:{runner.addresses[0][1]}" for runner in runners)
        yield hub
    finally:
        for runner in runners:
            await runner.cleanup()


def read_repositories(root: Path, token: str | None) -> list[Repository]:
    """Each owner/name below a folder."""
    folders = sorted(folder for folder in root.glob("*/*") if folder.is_dir())
    return [Repository(str(folder.relative_to(root)), _files(folder), token) for folder in folders]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


async def _serve(flags: argparse.Namespace) -> None:
    repositories = read_repositories(flags.root, flags.token)
    async with running_hub(*repositories, host=flags.host, port=flags.port, storage_port=flags.storage_port) as hub:
        hub.storage_url, hub.flaky = flags.storage_url or hub.storage_url, flags.flaky
        commits = {repository.name: repository.commit for repository in repositories}
        sys.stdout.write(json.dumps({"url": hub.url, "repositories": commits}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--storage-port", type=int, default=8081)
    parser.add_argument("--storage-url", help="the storage as clients reach it")
    parser.add_argument("--token", help="gates all repositories")
    parser.add_argument("--flaky", action="store_true", help="cut each file once")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
