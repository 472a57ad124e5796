"""Prompt templates: what authors write, with callers' values in it."""
