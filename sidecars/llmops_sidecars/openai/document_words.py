"""What the OpenAPI document says of fields, and its examples. What a field does stands nowhere else in it."""

from __future__ import annotations

from typing import Any

SAMPLING = {
    "temperature": "Sampling temperature. Above 1 an answer is never taken from the cache.",
    "top_p": "Only the likeliest tokens up to this share of probability; 0: only the likeliest one.",
    "seed": "Makes sampling repeatable, as far as the engine does.",
    "frequency_penalty": "Against tokens by how often they occurred.",
    "presence_penalty": "Against tokens that occurred at all.",
    "stop": "Texts at which the answer ends, without them: up to 16.",
    "logit_bias": "Added to the logits of tokens, by token id.",
    "n": "How many choices to generate.",
    "stream": "Answer with server-sent events, as the text comes.",
    "stream_options": "What events tell beside the text.",
    "user": "Who asks, for your own accounting: the same user always gets the same configuration. It goes no further.",
}
TOOLS = {
    "tools": "Functions that the model may call. Calls of others, and arguments that are no JSON object, are errors.",
    "tool_choice": "`none`, `auto`, `required`, one function, or some of the tools (`allowed_tools`).",
    "parallel_tool_calls": "False: an answer with several calls is an error.",
    "reasoning_effort": "How much to think, where the engine knows of it.",
    "verbosity": "How much to say, where the engine knows of it.",
    "safety_identifier": "As `user`.",
    "prompt": "A prompt template of this service, by its id, with values for its variables; it comes before the input.",
}

FIELDS: dict[str, dict[str, str]] = {
    "ChatRequest": SAMPLING
    | TOOLS
    | {
        "model": "The name of the model: `/v1/models` tells it.",
        "messages": "The conversation; content is text, as one string or in parts. Required without `prompt`.",
        "max_tokens": "The older name of `max_completion_tokens`.",
        "max_completion_tokens": "The most tokens of one choice; the service has a limit of its own.",
        "logprobs": "Tell the log probability of each token, where the engine knows it. Text that the policy changed "
        "has none.",
        "top_logprobs": "So many likely tokens at each place too; only with `logprobs`.",
        "response_format": "`json_object` and `json_schema` are held against the answer, strict or not: one that does "
        "not conform ends with the error `answer_not_conforming`.",
        "store": "Nothing is stored: only false.",
        "modalities": "Only text.",
    },
    "CompletionRequest": SAMPLING
    | {
        "model": "The name of the model: `/v1/models` tells it.",
        "prompt": "A text, or up to 16 texts, which are answered one after the other; no token ids.",
        "max_tokens": "The most tokens of one choice: 16 without it.",
        "logprobs": "Tell log probabilities, and so many likely tokens at each place.",
        "best_of": "As `n`, or left out.",
        "echo": "Only false.",
        "suffix": "Only empty.",
    },
    "ResponsesRequest": SAMPLING
    | TOOLS
    | {
        "model": "The name of the model: `/v1/models` tells it.",
        "input": "A text, or items: messages, function calls and their outputs. Required without `prompt`.",
        "instructions": "A system message before the input.",
        "max_output_tokens": "The most tokens of the answer; the service has a limit of its own.",
        "top_logprobs": "Tell log probabilities, and so many likely tokens at each place.",
        "include": "`message.output_text.logprobs`; everything else comes from tools that are not offered here.",
        "text": "The form of the text, held against the answer, and its length.",
        "reasoning": "How much to think, where the engine knows of it; there are no summaries.",
        "metadata": "Given back with the response, and kept nowhere.",
        "truncation": "Only `disabled`.",
    },
    "EmbeddingsRequest": {
        "model": "The name of the model: `/v1/models` tells it.",
        "input": "A text, or up to 2048 texts; no token ids.",
        "encoding_format": "Numbers, or 32-bit floats in base64, the lowest byte first.",
        "dimensions": "How long a vector is to be, where the engine can choose.",
        "user": SAMPLING["user"],
    },
    "ErrorBody": {
        "message": "What is wrong, where, and what to do. It never repeats what was sent.",
        "type": "The kind of error.",
        "param": "The field that is wrong.",
        "code": "What to decide by: `content_blocked`, `too_many_requests`, ….",
    },
}

CHAT_REQUEST = {"model": "chat", "messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 64}
USAGE = {"prompt_tokens": 6, "completion_tokens": 9, "total_tokens": 15}
TEXT = "Because air scatters blue light more than red."
ERROR = {
    "error": {
        "message": "The request was blocked by the content policy, rule 'secrets'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "content_blocked",
    }
}

EXAMPLES: dict[str, tuple[Any, Any]] = {
    "/v1/chat/completions": (
        CHAT_REQUEST,
        {
            "id": "chatcmpl-1",
            "created": 1700000000,
            "model": "chat",
            "choices": [
                {
                    "message": {"content": TEXT, "refusal": None, "role": "assistant"},
                    "finish_reason": "stop",
                    "index": 0,
                    "logprobs": None,
                }
            ],
            "usage": USAGE,
            "object": "chat.completion",
        },
    ),
    "/v1/completions": (
        {"model": "chat", "prompt": "The sky is blue because", "max_tokens": 16},
        {
            "id": "cmpl-1",
            "created": 1700000000,
            "model": "chat",
            "choices": [{"text": TEXT, "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "object": "text_completion",
            "usage": USAGE,
        },
    ),
    "/v1/responses": ({"model": "chat", "input": "Why is the sky blue?", "max_output_tokens": 64}, None),
    "/v1/embeddings": (
        {"model": "chat", "input": ["Why is the sky blue?"], "encoding_format": "float"},
        {
            "data": [{"embedding": [0.25, -0.5], "index": 0, "object": "embedding"}],
            "model": "chat",
            "usage": {"prompt_tokens": 6, "total_tokens": 6},
            "object": "list",
        },
    ),
}
"""A request and an answer of each endpoint."""
