"""Everything that runs on a real Kubernetes: the embedded cluster, the demo, the scenarios."""
