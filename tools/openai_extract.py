"""Cut what the conformance test needs out of OpenAI's published specification.

    python -m tools.openai_extract openapi.json      # from github.com/openai/openai-openapi, MIT licence

Kept are the schemas of the endpoints that are served, with all that they refer to, without their descriptions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXTRACT = Path("tests/data/openai/schemas.json")
ROOTS = (
    "CreateChatCompletionRequest",
    "CreateChatCompletionResponse",
    "CreateChatCompletionStreamResponse",
    "CreateCompletionRequest",
    "CreateCompletionResponse",
    "CreateEmbeddingRequest",
    "CreateEmbeddingResponse",
    "CreateResponse",
    "ErrorResponse",
    "ListModelsResponse",
    "Model",
    "Response",
    *(
        f"Response{name}Event"
        for name in (
            *("Created", "InProgress", "Completed", "Incomplete", "Failed", "Error"),
            *("OutputItemAdded", "OutputItemDone", "ContentPartAdded", "ContentPartDone"),
            *("TextDelta", "TextDone", "RefusalDelta", "RefusalDone"),
            *("FunctionCallArgumentsDelta", "FunctionCallArgumentsDone"),
        )
    ),
)
WORDS = frozenset({"description", "example", "examples", "title"})
"""What says nothing about validity; it is kept where it is the name of a property."""


def main(arguments: list[str]) -> int:
    """Write the extract of the specification in a file."""
    specification = json.loads(Path(arguments[0]).read_text())
    schemas = specification["components"]["schemas"]
    kept = {name: _stripped(schemas[name]) for name in sorted(_closure(schemas))}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(schema, sort_keys=True)}" for name, schema in kept.items())
    version = json.dumps(specification["info"]["version"])
    EXTRACT.write_text(f'{{"version": {version}, "schemas": {{\n{lines}\n}}}}\n')
    print(f"{EXTRACT}: {len(kept)} schemas, version {version}")
    return 0


def _closure(schemas: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(_stripped(schemas[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _stripped(value: Any, *, names: bool = False) -> Any:
    """Without words and vendors' extensions; `names`: the keys are names of properties."""
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _stripped(item, names=key == "properties" and not names)
        for key, item in value.items()
        if names or not (key in WORDS or key.startswith("x-"))
    }


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
