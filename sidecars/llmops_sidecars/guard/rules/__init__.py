"""The rules: one file each, a pure function from text to findings, made once per policy."""
