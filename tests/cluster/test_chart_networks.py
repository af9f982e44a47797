"""The chart's NetworkPolicies, read as a network plug-in reads them: who reaches whom, on which
port, and nobody else. Whether they are enforced is the plug-in's part.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import yaml

from tests.support.cluster import chart
from tests.support.cluster.chart import TRIAL, setting

Json = dict[str, Any]
Direction = Literal["ingress", "egress"]
PLACE, OPERATOR, EXAMS, RESITS = "medxamion", "medxamion-operator", "exams", "resits"
PORTS = (53, 443, 5432, 6443, 8080, 8081, 8235, 9090, 9235)


@dataclass(frozen=True)
class Pod:
    """``name`` is its app.kubernetes.io/name; a stranger has other labels."""

    namespace: str
    name: str
    stranger: bool = False

    @property
    def labels(self) -> dict[str, str]:
        if self.stranger:
            return {"app.kubernetes.io/name": self.name}
        return {
            "app.kubernetes.io/name": self.name,
            "app.kubernetes.io/instance": "medxamion",
            "app.kubernetes.io/part-of": "medxamion",
        }


COORDINATOR, POSTGRESQL = Pod(PLACE, "coordinator"), Pod(PLACE, "postgresql")
MIGRATIONS, TEST, GUARD = (Pod(PLACE, name) for name in ("migrations", "test", "uninstall-guard"))
OPERATING, CLIENT, RESIT = (
    Pod(OPERATOR, "operator"),
    Pod(EXAMS, "exam-client"),
    Pod(RESITS, "exam-client"),
)
DNS = Pod("kube-system", "coredns", stranger=True)
PROMETHEUS = Pod("monitoring", "prometheus", stranger=True)
VISITOR = Pod("ingress-nginx", "ingress-nginx", stranger=True)
# What somebody may put into our namespaces, under our names but for the one that counts.
INTRUDERS = (
    Pod(PLACE, "coordinator", stranger=True),
    Pod(EXAMS, "exam-client", stranger=True),
    Pod("default", "operator"),
    Pod("default", "exam-client"),
)
OURS = (COORDINATOR, POSTGRESQL, MIGRATIONS, TEST, GUARD, OPERATING, CLIENT, RESIT)
EVERYBODY = (*OURS, DNS, PROMETHEUS, VISITOR, *INTRUDERS)


def _expected() -> set[tuple[Pod, Pod, int]]:
    allowed = {(COORDINATOR, client, 8235) for client in (CLIENT, RESIT)}
    allowed |= {(client, COORDINATOR, 8081) for client in (CLIENT, RESIT)}
    allowed |= {(OPERATING, client, 9235) for client in (CLIENT, RESIT)}
    allowed |= {(OPERATING, COORDINATOR, 8081), (TEST, COORDINATOR, 8080)}
    allowed |= {(one, POSTGRESQL, 5432) for one in (COORDINATOR, MIGRATIONS)}
    allowed |= {(one, DNS, 53) for one in OURS if one is not POSTGRESQL}
    allowed |= {(PROMETHEUS, one, 9090) for one in (COORDINATOR, OPERATING)}
    allowed |= {(PROMETHEUS, client, 9235) for client in (CLIENT, RESIT)}
    # The public doors, for whoever is not held back at home.
    free = (PROMETHEUS, VISITOR, DNS, *(one for one in INTRUDERS if one.namespace == "default"))
    allowed |= {(one, COORDINATOR, 8080) for one in free}
    allowed |= {(one, client, 8235) for one in free for client in (CLIENT, RESIT)}
    return allowed


def test_exactly_these_connections_are_allowed() -> None:
    allowed = {
        (source, target, port)
        for source, target, port in itertools.product(EVERYBODY, EVERYBODY, PORTS)
        if source != target and _concerns_us(source, target) and _allowed(source, target, port)
    }

    # Ports of the API server are open to any address, since no selector names it.
    named = {one for one in allowed if one[2] not in (443, 6443)}
    assert named == _expected()


@pytest.mark.parametrize("pod", EVERYBODY, ids=str)
def test_only_those_who_must_reach_the_api_server(pod: Pod) -> None:
    must = pod in (COORDINATOR, OPERATING, TEST, GUARD)
    held_back = pod.namespace in (PLACE, OPERATOR, EXAMS, RESITS)

    assert _outwards(pod, 6443) is (must or not held_back)


def test_addresses_of_the_api_server_narrow_the_way_to_it() -> None:
    narrowed = _policies(*setting(networkPolicies__apiServer__cidrs=["192.0.2.1/32"]))
    rules = [
        rule
        for policy in narrowed
        for rule in policy["spec"].get("egress", [])
        if {"protocol": "TCP", "port": 6443} in rule["ports"]
    ]

    assert len(rules) == 4
    assert all(rule["to"] == [{"ipBlock": {"cidr": "192.0.2.1/32"}}] for rule in rules)


def _concerns_us(source: Pod, target: Pod) -> bool:
    places = (PLACE, OPERATOR, EXAMS, RESITS)
    return source.namespace in places or target.namespace in places


def _allowed(source: Pod, target: Pod, port: int) -> bool:
    """Both ends must agree, each where policies hold it."""
    return _agrees("egress", source, target, port) and _agrees("ingress", target, source, port)


def _outwards(source: Pod, port: int) -> bool:
    return _agrees("egress", source, None, port)


def _agrees(direction: Direction, held: Pod, other: Pod | None, port: int) -> bool:
    holding = [
        policy["spec"]
        for policy in _policies()
        if policy["metadata"]["namespace"] == held.namespace
        and direction.capitalize() in policy["spec"]["policyTypes"]
        and _selects(policy["spec"]["podSelector"], held.labels)
    ]
    if not holding:
        return True
    peers = "from" if direction == "ingress" else "to"
    return any(
        _has_port(rule, port) and _has_peer(rule.get(peers), held, other)
        for spec in holding
        for rule in spec.get(direction, [])
    )


def _has_port(rule: Json, port: int) -> bool:
    return "ports" not in rule or any(one["port"] == port for one in rule["ports"])


def _has_peer(peers: list[Json] | None, held: Pod, other: Pod | None) -> bool:
    if peers is None:
        return True
    return other is not None and any(_is_peer(peer, held, other) for peer in peers)


def _is_peer(peer: Json, held: Pod, other: Pod) -> bool:
    if "ipBlock" in peer:
        return False
    names = {"kubernetes.io/metadata.name": other.namespace}
    in_place = (
        _selects(peer["namespaceSelector"], names)
        if "namespaceSelector" in peer
        else other.namespace == held.namespace
    )
    return in_place and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Json, labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


@functools.cache
def _policies(*values: str) -> list[Json]:
    two = setting(deliveryNamespaces=[EXAMS, RESITS])
    text = chart.rendered(*TRIAL, *two, *values, namespace=PLACE)
    found = [one for one in yaml.safe_load_all(text) if one and one["kind"] == "NetworkPolicy"]
    assert all(set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"} for one in found)
    return found
