"""What keeps the operator going: the work queue, its workers, the resync, leadership, the watches' thread, health."""
