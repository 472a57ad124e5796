"""What a text is cut into before anybody asks what it means: addresses, words, signs, lines."""

from __future__ import annotations

import re

from llmops_sidecars.guard.rules.injection.fold import GONE

IDEOGRAPHS = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese and Japanese write no spaces: each of these characters counts as a word."""

MARKS = "\u0900-\u0903\u093a-\u094f\u0955-\u0957\u0962\u0963\u0980-\u0983\u09bc-\u09cd\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
"""Vowel signs, which are parts of words and yet no letters."""

WORD = rf"(?:[^\W_{IDEOGRAPHS}]+|[{MARKS}{GONE}]+)+"
TOKEN = re.compile(
    rf"(?P<address>https?:/*[^\s<>\"')\]]+|www\.[^\s<>\"')\]]+|[\w.+\-]+@[\w\-]+\.[\w.\-]*\w)"
    rf"|(?P<word>(?:[@$](?=[^\W\d_]))?{WORD}(?:['@$!|]{WORD})*)"
    rf"|(?P<ideograph>[{IDEOGRAPHS}])"
    r"|(?P<line>\n\s*)"
    r"|(?P<sign>([^\w\s])\6*|_+)"
)

LINE = "\n"
"""A line break, as a word."""
