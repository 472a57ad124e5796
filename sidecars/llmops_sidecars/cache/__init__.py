"""The cache: remembers answers that passed the guard, and lets equal requests share one generation.

app        the ASGI application: looks up, generates, replays, commits
key        which requests are equal, and which may be remembered at all
entry      one remembered answer, as bytes that prove themselves
store      entries in memory, bounded by bytes and time
flight     one generation with many listeners
"""
