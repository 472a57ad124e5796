"""The `injection` rule: text that tries to take over a model. Known shapes, and a small classifier trained for it.

`score` judges a whole text, `spans` tells where; both are pure and read the shipped model at their first use.
"""

from llmops_sidecars.guard.rules.injection.judge import ATTACK, score, spans
from llmops_sidecars.guard.rules.injection.rule import make

__all__ = ["ATTACK", "make", "score", "spans"]
