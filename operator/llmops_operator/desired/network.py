"""How the pods are reached, and by whom."""

from __future__ import annotations

from typing import Any

from llmops_operator import names
from llmops_operator.desired import judging, shared
from llmops_operator.desired.facts import Facts
from llmops_operator.desired.objects import child

Document = dict[str, Any]

LINK_LOCAL = "169.254.0.0/16"
"""Where clouds keep their metadata services, which hand out the node's credentials."""

NAMESPACE_NAME = "kubernetes.io/metadata.name"


def service(facts: Facts) -> Document:
    """Clients' way in: the guard's port alone.

    The metrics port has no Service: scrapers and the operator want every pod, not one of them (PodMonitor does that).
    """
    tls = facts.access.tls is not None
    port = {
        "name": names.guard_port_name(tls=tls),
        "port": names.service_port(tls=tls),
        "targetPort": names.guard_port_name(tls=tls),
        "protocol": "TCP",
    }
    spec = {"type": "ClusterIP", "selector": names.selector(facts.name), "ports": [port]}
    return child("v1", "Service", names.child(facts.name), facts, spec=spec)


def network_policy(facts: Facts) -> Document:
    """In: the guard's port from everywhere, the metrics port from scrapers and the operator. Out: see `_egress`."""
    spec = {
        "podSelector": {"matchLabels": names.selector(facts.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"ports": [_port(names.GUARD_PORT)]},
            {"ports": [_port(names.ADMIN_PORT)], "from": [{"namespaceSelector": _scrapers(facts)}]},
        ],
        **({"egress": egress} if (egress := _egress(facts)) else {}),
    }
    return child("networking.k8s.io/v1", "NetworkPolicy", names.child(facts.name), facts, spec=spec)


def _scrapers(facts: Facts) -> Document:
    namespaces = sorted({facts.settings.namespace, *facts.settings.scrape_namespaces})
    return {"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": namespaces}]}


def _egress(facts: Facts) -> list[Document]:
    """Nothing, unless the pod fetches a model or asks somebody outside: then names, and all but the nodes' own.

    Outside are providers, issuers, webhooks, and a shared cache that is not a Service of this cluster: one that is has
    only its namespace opened.

    A policy cannot name a host, hubs and issuers answer from changing addresses, and the port of a Service is not the
    port of its pods, so neither address nor port can be narrowed down here. Pods are named apart from addresses,
    because some network plugins do not count them among the addresses. A kubelet's image pulls are not the pod's
    traffic.
    """
    source = facts.spec.model.source
    webhooks = judging.webhooks(facts.policy.spec) if facts.policy else ()
    asks = facts.is_external or facts.fallback is not None or facts.access.jwt is not None or webhooks
    store, namespace = shared.store(facts.spec), shared.namespace_of_store(facts)
    name_servers = {"ports": [_port(53, "UDP"), _port(53)]}
    if not asks and not (source and source.hugging_face) and not (store and namespace is None):
        inside = {"to": [{"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}}}]}
        return [name_servers, inside] if store else []
    everywhere = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": [LINK_LOCAL]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10"]}},
    ]
    return [name_servers, {"to": everywhere}]


def _port(number: int, protocol: str = "TCP") -> Document:
    return {"port": number, "protocol": protocol}
