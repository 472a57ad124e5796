"""What the rule `injection` says of texts by authors from whom it has not learned: `python -m tools.unseen`.

For choosing how to train, so that the judging set stays unseen. The authors wrote apart from one another and from the
tuning family, as hard as they could: attacks in the clothes of everyday texts, harmless texts next to attacks. Nothing
here may be learned from as long as anything is judged by it.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from llmops_sidecars.guard.rules.injection.judge import spans
from tools.injection.builtin import BUILTIN
from tools.injection.grammar import COMMON, Template, read

AUTHORS = Path(__file__).parent
SEED = 20261201


def main(authors: Path = AUTHORS) -> int:
    """Print what share of each author's texts is taken for attacks."""
    taken: defaultdict[tuple[str, str, str], list[bool]] = defaultdict(list)
    for author, template in templates(authors):
        text = template.make(random.Random(SEED))
        taken[author, template.language, template.label].append(bool(spans(text)))
    for (author, language, label), found in sorted(taken.items()):
        print(f"{author:8} {language:3} {label:7} {100 * sum(found) / len(found):5.1f} % of {len(found)}", flush=True)
    return 0


def templates(authors: Path = AUTHORS) -> Iterator[tuple[str, Template]]:
    """Each author's, from a folder of the author's name; raises GrammarError."""
    for folder in sorted(one.parent for one in authors.glob(f"*/{COMMON}.txt")):
        yield from ((folder.name, template) for template in read(folder, BUILTIN))


if __name__ == "__main__":
    sys.exit(main())
