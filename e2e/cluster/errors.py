"""The one exception that the commands turn into one line and exit status 1."""

from __future__ import annotations


class ClusterError(Exception):
    """What is wrong and what to do about it, in one line; more lines only for the tail of a log."""
