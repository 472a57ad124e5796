"""OpenAI's chat completions: requests, answers, chunks, errors and event streams, as values and bytes."""
