"""Models that policies bring along: an ONNX file with its tokenizer and the names of its labels in one folder.

A text goes through whole, in windows of the model's length that overlap. Everything here runs in a thread:
`encode_batch` and the session let other threads run. Rules that name the same file share what was read of it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Encoding, Tokenizer

TOKENIZER, LABELS = "tokenizer.json", "config.json"

WINDOW, OVERLAP = 512, 128
"""Tokens of a window, and how many of them the next one has again: a quarter."""

BATCH = 8
"""Windows that go through the model at once: its memory grows with them."""

LOADING_SECONDS = 30.0
"""The first text waits until the model has been read."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """What was read of one file."""

    tokenizer: Tokenizer
    session: onnxruntime.InferenceSession


_LOADED: WeakValueDictionary[tuple[str, int, int], Loaded] = WeakValueDictionary()
"""Models that a rule uses, by path, time and size of their files."""

_LOADING = threading.Lock()


class Brought:
    """The model of one rule, read at its first text. `labels`: their names, by the number of the model's output."""

    def __init__(self, rule: str, path: str) -> None:
        """Look whether it is there; raises ValueError that begins with the rule's name when a file is not."""
        self._path = Path(path)
        for one in (self._path, self._path.parent / TOKENIZER, self._path.parent / LABELS):
            if not one.is_file():
                raise ValueError(f"{rule}: the model's {one.name} is not there: {one}")
        self.labels = _labels(rule, self._path.parent / LABELS)
        self._loaded: Loaded | None = None

    def judged(self, texts: Sequence[str]) -> Iterator[tuple[int, Encoding, NDArray[np.float64]]]:
        """The windows of all texts, in any order: the text's number, the window, the probabilities of each label.

        For each token where the model judges tokens. Raises what loading or the model raises.
        """
        loaded = self._load()
        encoded = enumerate(loaded.tokenizer.encode_batch(list(texts)))
        windows = [(number, window) for number, whole in encoded for window in (whole, *whole.overflowing)]
        following = iter(sorted(windows, key=lambda one: len(one[1].ids)))
        while batch := list(islice(following, BATCH)):
            shares = _probabilities(loaded.session, [window for _, window in batch])
            for (number, window), probable in zip(batch, shares, strict=True):
                yield number, window, probable

    def _load(self) -> Loaded:
        if self._loaded is not None:
            return self._loaded
        with _LOADING:
            if self._loaded is None:
                about = self._path.stat()
                key = (str(self._path), about.st_mtime_ns, about.st_size)
                self._loaded = _LOADED.get(key) or Loaded(_tokenizer(self._path.parent), _session(self._path))
                _LOADED[key] = self._loaded
            return self._loaded


def _labels(rule: str, path: Path) -> dict[int, str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {int(number): str(name) for number, name in document["id2label"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{rule}: the model's {path.name} has no id2label, a name for each number") from error


def _tokenizer(folder: Path) -> Tokenizer:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # or it starts a thread for each core of the node
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.enable_truncation(WINDOW, stride=OVERLAP)
    tokenizer.no_padding()
    return tokenizer


def _session(path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _probabilities(session: onnxruntime.InferenceSession, windows: list[Encoding]) -> NDArray[np.float64]:
    """Of each label for each window: softmax of the model's first output."""
    length = max(len(window.ids) for window in windows)
    columns = {
        "input_ids": [_filled(window.ids, length) for window in windows],
        "attention_mask": [_filled(window.attention_mask, length) for window in windows],
        "token_type_ids": [_filled(window.type_ids, length) for window in windows],
    }
    wanted = {one.name for one in session.get_inputs()}
    given: dict[str, Any] = {name: np.array(rows, np.int64) for name, rows in columns.items() if name in wanted}
    scores = np.asarray(session.run(None, given)[0], np.float64)
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def _filled(numbers: list[int], length: int) -> list[int]:
    return [*numbers, *[0] * (length - len(numbers))]
