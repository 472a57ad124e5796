"""Small models, as policies bring them along: a table gives each word's log-odds, and no word knows its neighbours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from llmops_sidecars.contract import NamesModel

LABELS = ("O", "B-PER", "I-PER", "B-LOC")
SURE = 20.0
NAMES = {
    "alice": {"B-PER": SURE},
    "bob": {"B-PER": SURE},
    "jane": {"B-PER": SURE},
    "smith": {"I-PER": SURE},
    "mc": {"I-PER": SURE},
    "paris": {"B-LOC": SURE},
    "王": {"B-PER": SURE},
    "伟": {"I-PER": SURE},
}


def names_model(
    folder: Path, words: Mapping[str, Mapping[str, float]] = NAMES, labels: tuple[str, ...] = LABELS, **settings: object
) -> NamesModel:
    """A model that marks words: its log-odds of a label are those given, and 0 of all others; words without, `O`."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, **{word: number for number, word in enumerate(words, start=2)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    pieces = Regex("|".join(sorted(words, key=len, reverse=True)) + r"|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split(pieces, "isolated")]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"id2label": {str(n): one for n, one in enumerate(labels)}}))
    table = np.zeros((len(vocabulary), len(labels)), np.float32)
    table[:2, 0] = SURE
    for word, odds in words.items():
        for label, value in odds.items():
            table[vocabulary[word], labels.index(label)] = value
    onnx.save(token_classifier(table), str(folder / "model.onnx"))
    return NamesModel(str(folder / "model.onnx"), **settings)  # type: ignore[arg-type]


def token_classifier(table: np.ndarray) -> onnx.ModelProto:
    """Log-odds of each token from a table."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["logits"])],
        "tiny",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", table.shape[1]])],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
