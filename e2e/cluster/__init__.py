"""A real Kubernetes on one plain machine, in namespaces of its own: `python3 -m e2e.cluster --help`."""
