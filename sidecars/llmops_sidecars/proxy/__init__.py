"""What guard, cache and engine share: ASGI, the next component, drain, admission, the contract file, metrics, logs."""
