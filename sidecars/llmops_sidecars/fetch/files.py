"""Which files of a commit are fetched, from the hub's listing."""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec
from msgspec import Struct

from llmops_sidecars.fetch.errors import FetchError

WEIGHTS = ".safetensors"

WANTED_SUFFIXES = frozenset({WEIGHTS, ".json", ".txt", ".model", ".tiktoken", ".jinja"})
"""Weights, configuration, tokenizers, chat templates. All else stays behind, pickles and Python files above all: both
are programs, and loading them runs them."""


class RemoteFile(Struct, frozen=True):
    """A file of the commit. `digest` is its SHA-256 or, for small files, its Git object name; None when not listed."""

    path: str
    size: int | None = None
    digest: str | None = None


class _Large(Struct, frozen=True):
    sha256: str
    size: int


class _Sibling(Struct, frozen=True, rename="camel"):
    rfilename: str
    size: int | None = None
    blob_id: str | None = None
    lfs: _Large | None = None


class _Listing(Struct, frozen=True):
    sha: str
    siblings: tuple[_Sibling, ...] = ()


def read_listing(document: bytes, revision: str) -> tuple[RemoteFile, ...]:
    """The wanted files; raises FetchError for another commit, a name that leads elsewhere, or one without weights."""
    try:
        listing = msgspec.json.decode(document, type=_Listing)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FetchError(
            "the hub's list of files cannot be read; check that --endpoint is a Hugging Face hub"
        ) from error
    if listing.sha != revision:
        raise FetchError(
            f"the hub lists commit {listing.sha[:40]!r} for {revision}; give the commit itself as revision"
        )
    files = tuple(_remote(each) for each in listing.siblings if _is_wanted(each.rfilename))
    for file in files:
        _require_inside(file.path)
    if not any(file.path.endswith(WEIGHTS) for file in files):
        raise FetchError(f"the commit has no {WEIGHTS} file; pickled weights are not fetched, choose one that has")
    return files


def _is_wanted(path: str) -> bool:
    return PurePosixPath(path).suffix in WANTED_SUFFIXES


def _require_inside(path: str) -> None:
    """A name with `..`, an absolute one, or a hidden one (those are ours) is not a model's."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(not part or part.startswith(".") for part in parts):
        raise FetchError(
            f"the commit has a file named {path!r}, which could lead out of the target; nothing was fetched"
        )


def _remote(sibling: _Sibling) -> RemoteFile:
    """A large file's Git object is a pointer, so its own digest counts."""
    if sibling.lfs is not None:
        return RemoteFile(sibling.rfilename, sibling.lfs.size, sibling.lfs.sha256)
    return RemoteFile(sibling.rfilename, sibling.size, sibling.blob_id)
