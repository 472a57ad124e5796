"""A language model small enough for tests, and the engine that serves it; only `wire` and `gauges` know Triton."""
