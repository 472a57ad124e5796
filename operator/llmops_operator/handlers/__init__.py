"""kopf and nothing else: watches become events, events go on; no handler decides or writes."""

from llmops_operator.handlers.watch import watch

__all__ = ["watch"]
