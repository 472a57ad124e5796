from __future__ import annotations

from typing import Any

import msgspec
import pytest

from llmops_sidecars.fetch.errors import FetchError
from llmops_sidecars.fetch.files import RemoteFile, read_listing

COMMIT = "0e9e39f249a16976918f6564b8830bc894c89659"
DIGEST = "d" * 64


def listing(*siblings: dict[str, Any] | str, sha: str = COMMIT) -> bytes:
    files = [{"rfilename": each} if isinstance(each, str) else each for each in siblings]
    return msgspec.json.encode({"id": "a/b", "sha": sha, "siblings": files, "gated": False})


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("model-00001-of-00002.safetensors", True),
        ("model.safetensors.index.json", True),
        ("config.json", True),
        ("tokenizer.model", True),
        ("merges.txt", True),
        ("qwen.tiktoken", True),
        ("chat_template.jinja", True),
        ("original/params.json", True),
        ("pytorch_model.bin", False),
        ("consolidated.00.pth", False),
        ("model.pt", False),
        ("weights.pkl", False),
        ("modeling_custom.py", False),
        ("model.gguf", False),
        ("README.md", False),
        ("LICENSE", False),
        (".gitattributes", False),
        ("run.sh", False),
        ("evil.json.py", False),
    ],
)
def test_weights_configuration_and_tokenizers_are_wanted(path: str, wanted: bool) -> None:  # noqa: FBT001 - a column
    files = read_listing(listing("w.safetensors", path), COMMIT)
    assert [file.path for file in files] == ["w.safetensors", *([path] if wanted else [])]


def test_size_and_digest_come_from_the_large_file_or_the_git_object() -> None:
    large = {"rfilename": "w.safetensors", "size": 9, "blobId": "b" * 40, "lfs": {"sha256": DIGEST, "size": 9}}
    small = {"rfilename": "config.json", "size": 3, "blobId": "a" * 40}
    assert read_listing(listing(large, small), COMMIT) == (
        RemoteFile("w.safetensors", 9, DIGEST),
        RemoteFile("config.json", 3, "a" * 40),
    )


@pytest.mark.parametrize(
    "path",
    [
        "../escape.json",
        "a/../../escape.json",
        "/etc/passwd.json",
        "a//b.json",
        "./a.json",
        ".llmops-complete.json",
        ".git/config.json",
        "a\\..\\b.json",
        "a\0.json",
        "a\n.json",
    ],
)
def test_a_name_that_could_lead_elsewhere_stops_everything(path: str) -> None:
    with pytest.raises(FetchError, match="could lead out of the target"):
        read_listing(listing("w.safetensors", path), COMMIT)


def test_a_strange_name_that_is_not_wanted_does_no_harm() -> None:
    assert len(read_listing(listing("w.safetensors", "../escape.bin"), COMMIT)) == 1


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"<html>", "cannot be read"),
        (b"{}", "cannot be read"),
        (b'{"sha": "\xff"}', "cannot be read"),
        (listing("w.safetensors", sha="f" * 40), "give the commit itself"),
        (listing("pytorch_model.bin", "config.json"), "no .safetensors file"),
        (listing(), "no .safetensors file"),
    ],
    ids=["no-json", "another-shape", "not-utf8", "another-commit", "only-pickles", "empty"],
)
def test_a_bad_listing_is_refused(document: bytes, message: str) -> None:
    with pytest.raises(FetchError, match=message):
        read_listing(document, COMMIT)
