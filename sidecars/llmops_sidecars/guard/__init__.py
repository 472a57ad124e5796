"""The guard: what a request and its answer have to pass, in front of the cache."""
