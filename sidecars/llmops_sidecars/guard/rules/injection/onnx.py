"""A classifier that a policy brings along: an ONNX file, its tokenizer and its labels in one folder.

The whole text is looked at, in windows of the model's length that overlap; the highest window decides. Everything here
runs in a thread: `encode_batch` and the session let other threads run.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llmops_sidecars.contract import InjectionModel
from llmops_sidecars.guard.rules.injection.judge import Span

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Encoding, Tokenizer

TOKENIZER, LABELS = "tokenizer.json", "config.json"

WINDOW, OVERLAP = 512, 128
"""Tokens of a window, and how many of them the next one has again: a quarter."""

BATCH = 8
"""Windows that go through the model at once: its memory grows with them."""

KIND = "model"


class Classifier:
    """The model of one rule, loaded at its first text."""

    def __init__(self, model: InjectionModel) -> None:
        """Look whether it is there; raises ValueError when a file or a label is not."""
        self._path = Path(model.path)
        self._folder = self._path.parent
        for path in (self._path, self._folder / TOKENIZER, self._folder / LABELS):
            if not path.is_file():
                raise ValueError(f"injection: the model's {path.name} is not there: {path}")
        self._attacks = _attacks(self._folder / LABELS, model.labels)
        self._loading = threading.Lock()

    def spans(self, text: str, threshold: float) -> list[Span]:
        """The windows that the model takes for an attack; raises what loading or the model raises."""
        with self._loading:
            tokenizer, session = self._tokenizer, self._session
        (whole,) = tokenizer.encode_batch([text])
        windows = [whole, *whole.overflowing]
        found: list[Span] = []
        batches = iter(windows)
        while batch := list(islice(batches, BATCH)):
            shares = _probabilities(session, batch)[:, self._attacks].sum(axis=1)
            for window, probable in zip(batch, shares, strict=True):
                if probable >= threshold:
                    found.append((*_characters(window), KIND, float(probable)))
        return found

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # or it starts a thread for each core of the node
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
        tokenizer.enable_truncation(WINDOW, stride=OVERLAP)
        tokenizer.enable_padding()
        return tokenizer

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(self._path), options, providers=["CPUExecutionProvider"])


def _attacks(path: Path, labels: Sequence[str]) -> list[int]:
    """Which outputs mean an attack; raises ValueError for labels that the model has not, and a file without any."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {int(number): str(name) for number, name in document["id2label"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"injection: the model's {path.name} has no id2label, a name for each number") from error
    unknown = set(labels) - set(names.values())
    if unknown:
        raise ValueError(f"injection: the model knows {sorted(names.values())}, not {sorted(unknown)}")
    return [number for number in sorted(names) if (names[number] in labels if labels else number > 0)]


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
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _filled(numbers: list[int], length: int) -> list[int]:
    return [*numbers, *[0] * (length - len(numbers))]


def _characters(window: Encoding) -> tuple[int, int]:
    """From the first to behind the last character of a window; special tokens have none."""
    places = [(start, end) for start, end in window.offsets if end > start]
    return (places[0][0], places[-1][1]) if places else (0, 0)
