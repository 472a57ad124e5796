"""The errors of Triton."""

from __future__ import annotations

import logging

import pytest

from llmops_sidecars.engine.triton import error, reason


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("Error generating request: the prompt has 5001 tokens, max_seq_len is 4096", "context_length_exceeded", None),
        ("The sum of prompt length (9) and max_tokens should not exceed max_seq_len", "context_length_exceeded", None),
        ("Prompt length (9) should be less than max_num_tokens (8)", "context_length_exceeded", None),
        ("the request needs 900 KV cache blocks, there are 512", "context_length_exceeded", None),
        (
            "The decoder prompt (length 5010) is longer than the maximum model length of 4096",
            "context_length_exceeded",
            None,
        ),
        ("Exceeds maximum queue size", "too_many_requests", "queue full"),
        ("Request for unknown model: 'x' is not found", "engine_failed", "unknown model"),
        ("[request id: x] unexpected inference input 'seed' for model 'm'", "engine_failed", "unknown input"),
        ("Stub process 'tensorrt_llm_0_0' is not healthy.", "engine_failed", "model process died"),
        ("This API is restricted, expecting header 'triton-admin'", "engine_failed", "restricted API"),
        ("failed: OutOfMemoryError: my secret prompt", "engine_failed", "OutOfMemoryError"),
        ("my secret prompt", "engine_failed", "unknown"),
        ("", "engine_failed", "unknown"),
    ],
)
def test_errors_are_told_apart_by_their_text_which_goes_no_further(
    text: str, code: str, why: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    failure = error(text)
    assert failure.code == code
    assert "secret" not in failure.encode().decode()
    assert [vars(record)["reason"] for record in caplog.records] == ([why] if why else [])


def test_a_reason_is_no_sentence() -> None:
    assert reason("Traceback …\nRuntimeError: the prompt was: tell me") == "RuntimeError"
