"""The way to one exam-client: Service, Ingress or HTTPRoute, certificate, and its protection.

What may change in place carries a digest of what it was last asked to be, so that a look tells
whether it must be written again.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from exam_contract.canonical import digest
from exam_contract.delivery import ExamDelivery
from exam_contract.delivery_rules import inside_cluster
from exam_operator.core import names
from exam_operator.core.manifests import PUBLIC_PORT, Platform

Json = dict[str, Any]


def service(stored: ExamDelivery, platform: Platform) -> Json:
    """Reaches the pod even while it is not ready: participants are told so in words."""
    public: Json = {"name": "public", "port": PUBLIC_PORT, "targetPort": "public"}
    node_port = stored.spec.access.type == "NodePort"
    if node_port and stored.spec.access.port is not None:
        public["nodePort"] = stored.spec.access.port
    spec = {
        "type": "NodePort" if node_port else "ClusterIP",
        "publishNotReadyAddresses": True,
        "selector": {names.DELIVERY_LABEL: stored.metadata.uid},
        "ports": [public],
    }
    meta = names.meta(stored)
    meta["annotations"] |= platform.service_annotations
    return _wanted({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def ingress(stored: ExamDelivery, platform: Platform) -> Json:
    """TLS ends at the controller with a person's certificate and goes on to the pod with ours."""
    access = stored.spec.access
    backend = {"service": {"name": names.of(stored), "port": {"name": "public"}}}
    rule = {
        "host": access.host,
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
    spec: Json = {"rules": [rule]}
    if platform.ingress_class is not None:
        spec["ingressClassName"] = platform.ingress_class
    if access.tls is not None:
        spec["tls"] = [{"hosts": [access.host], "secretName": access.tls.secret_ref.name}]
    meta = names.meta(stored)
    meta["annotations"] |= {
        "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
        "nginx.ingress.kubernetes.io/proxy-ssl-verify": "on",
        "nginx.ingress.kubernetes.io/proxy-ssl-name": names.dns_name(
            stored.metadata.uid or "", stored.metadata.namespace
        ),
        "nginx.ingress.kubernetes.io/proxy-ssl-secret": (
            f"{stored.metadata.namespace}/{names.tls_name(stored.metadata.uid or '')}"
        ),
        **platform.ingress_annotations,
    }
    return _wanted(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": spec,
        }
    )


def http_route(stored: ExamDelivery, platform: Platform) -> Json:
    """Attaches the host to the platform's Gateway."""
    namespace, _, name = (platform.gateway or "").rpartition("/")
    parent = {"name": name, **({"namespace": namespace} if namespace else {})}
    spec = {
        "parentRefs": [parent],
        "hostnames": [stored.spec.access.host],
        "rules": [{"backendRefs": [{"name": names.of(stored), "port": PUBLIC_PORT}]}],
    }
    return _wanted(
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": names.meta(stored),
            "spec": spec,
        }
    )


def backend_tls(stored: ExamDelivery, version: str) -> Json:
    """Lets the Gateway speak https to the exam-client and verify it by its internal name."""
    authorities = {"group": "", "kind": "ConfigMap", "name": names.AUTHORITIES}
    meta = names.meta(stored)
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": names.of(stored)}],
        "validation": {
            "caCertificateRefs": [authorities],
            "hostname": names.dns_name(stored.metadata.uid or "", stored.metadata.namespace),
        },
    }
    return _wanted(
        {
            "apiVersion": f"gateway.networking.k8s.io/{version}",
            "kind": "BackendTLSPolicy",
            "metadata": meta,
            "spec": spec,
        }
    )


def authorities(namespace: str, bundle: str) -> Json:
    """One per namespace; public, so it may stay when the last delivery is gone."""
    meta = {**_shared_meta(names.AUTHORITIES, namespace), "annotations": {}}
    return _wanted(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"ca.crt": bundle}}
    )


def certificate_secret(stored: ExamDelivery, data: Mapping[str, str]) -> Json:
    """The certificate, ``data`` in base64; replaced when it is renewed."""
    meta = names.meta(stored)
    meta["name"] = names.tls_name(stored.metadata.uid or "")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": meta,
        "data": dict(data),
    }


def certificate(stored: ExamDelivery, hosts: tuple[str, ...], issuer: str) -> Json:
    """cert-manager's Certificate, which fills the same Secret that we would."""
    kind, _, name = issuer.rpartition("/")
    names_, addresses = split_hosts(hosts)
    spec = {
        "secretName": names.tls_name(stored.metadata.uid or ""),
        "secretTemplate": {"labels": names.labels(stored.metadata.uid or "")},
        "issuerRef": {"group": "cert-manager.io", "kind": kind or "Issuer", "name": name},
        "dnsNames": list(names_),
        "ipAddresses": list(addresses),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["server auth"],
    }
    return _wanted(
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": names.meta(stored),
            "spec": spec,
        }
    )


def disruption_budget(namespace: str) -> Json:
    """One per namespace: no drain and no eviction takes a pod whose data is not transferred."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _shared_meta(names.DISRUPTION_BUDGET, namespace),
        "spec": {
            "maxUnavailable": 0,
            "selector": {"matchLabels": {names.PROTECTED_LABEL: "true"}},
        },
    }


def certificate_hosts(stored: ExamDelivery, public_host: str | None) -> tuple[str, ...]:
    """Every name the exam-client is reached by: inside, from its own node, and in public."""
    uid, namespace = stored.metadata.uid or "", stored.metadata.namespace
    name = names.child_name(uid)
    inside = (name, f"{name}.{namespace}", names.dns_name(uid, namespace))
    hosts = (*inside, f"{inside[-1]}.cluster.local", "localhost", "127.0.0.1")
    public = stored.spec.access.host or public_host
    if public is None or public in hosts or inside_cluster(public):
        return hosts
    return (*hosts, public)


def split_hosts(hosts: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """DNS names, and IP addresses."""
    addresses = tuple(host for host in hosts if _is_address(host))
    return tuple(host for host in hosts if host not in addresses), addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _shared_meta(name: str, namespace: str) -> Json:
    """Of what all deliveries of a namespace have together."""
    labels = {
        "app.kubernetes.io/part-of": "medxamion",
        "app.kubernetes.io/managed-by": names.MANAGER,
    }
    return {"name": name, "namespace": namespace, "labels": labels}


def body(manifest: Json) -> Json:
    """The part of it that says what is asked for."""
    return {part: manifest[part] for part in ("spec", "data") if part in manifest}


def _wanted(manifest: Json) -> Json:
    asked = digest({**body(manifest), "notes": manifest["metadata"]["annotations"]})
    manifest["metadata"]["annotations"][names.WANTED_ANNOTATION] = asked
    return manifest
