"""A Valkey or Redis that pods share remembered answers through; docs/dev/cache.md has its failure cases.

resp        commands and replies as bytes
connection  one connection with one command under way at most
pool        connections that are kept open, and none of them while the store does not work
login       what a connection is opened with: password, authorities, and the secret made of the password
names       how keys are called there, so that nobody without the password can make or find one
purges      what is no longer to be given, in every pod
store       entries: looked up within 10 ms or not at all, written aside
"""
