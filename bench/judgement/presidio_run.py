"""Runs in an environment of its own: texts as JSON lines in, what Presidio finds and its time out."""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata
from typing import Any

import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine


class Blank(SpacyNlpEngine):  # type: ignore[misc]
    """An English pipeline that only cuts words: the registries that the benchmark may use carry no trained one."""

    def load(self) -> None:
        """Nothing to fetch."""
        self.nlp = {"en": spacy.blank("en")}


def main() -> None:
    """One line a text, then one with the versions."""
    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])
    texts = [json.loads(line) for line in sys.stdin]
    for text in texts[:20]:
        analyzer.analyze(text, language="en")
    for text in texts:
        start = time.thread_time()
        found = analyzer.analyze(text, language="en")
        seconds = time.thread_time() - start
        _say({"seconds": seconds, "places": [(one.entity_type, one.start, one.end, one.score) for one in found]})
    _say({name: metadata.version(name) for name in ("presidio-analyzer", "spacy")})


def _say(document: Any) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
