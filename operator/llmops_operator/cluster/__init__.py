"""The only package that talks to the API server and to the guards: it reads, writes and counts, and decides nothing."""
