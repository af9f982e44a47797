"""What is asked of the API server for one delivery, as whole documents."""

from dataclasses import replace
from typing import Any

import pytest

from exam_contract.delivery import FINALIZER
from exam_operator.core import access, manifests, names
from exam_operator.core.manifests import Platform, Start
from tests.support import deliveries

Json = dict[str, Any]
UID = deliveries.UID
NAME = f"exam-{UID}"
PLATFORM = Platform(
    coordinator_url="https://coordinator:8081",
    client_image="exam-client:1",
    image_pull_secrets=("registry",),
    ingress_class="nginx",
    gateway="infra/public",
)
LABELS = {
    "app.kubernetes.io/name": "exam-client",
    "app.kubernetes.io/part-of": "medxamion",
    "app.kubernetes.io/managed-by": "medxamion-operator",
    "medxamion.io/delivery": UID,
}
OWNER = {
    "apiVersion": "exams.medxamion.io/v1",
    "kind": "ExamDelivery",
    "name": "morning",
    "uid": UID,
    "controller": True,
    "blockOwnerDeletion": True,
}
TLS = {"secretRef": {"name": "mine"}}


def meta(*, owned: bool = True, **more: Any) -> Json:
    made = {
        "name": NAME,
        "namespace": "default",
        "labels": LABELS,
        "annotations": {"medxamion.io/object": "morning"},
    }
    return {**made, **({"ownerReferences": [OWNER]} if owned else {}), **more}


def unsigned(manifest: Json) -> Json:
    """Without the digest of what is wanted, which must be there."""
    assert manifest["metadata"]["annotations"].pop(names.WANTED_ANNOTATION).startswith("sha256:")
    return manifest


def made_pod(**spec: Any) -> Json:
    start = Start(3, 7, "digest", "https://exam.example.org", expects_data=True)
    return manifests.pod(deliveries.delivery(**spec), start, PLATFORM)


def test_the_pod_obeys_the_restricted_standard() -> None:
    spec = made_pod()["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
    assert kinds == {"persistentVolumeClaim", "secret", "projected", "emptyDir"}


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({"client_image": "other"}, True),
        ({"image_pull_policy": "Always"}, True),
        ({"image_pull_secrets": ("other",)}, True),
        ({"service_account": "other"}, True),
        ({"log_level": "debug", "gateway": "a/b", "ingress_class": "c"}, False),
    ],
)
def test_what_of_an_installation_may_keep_a_pod_from_beginning(
    change: dict[str, Any], counts: bool
) -> None:
    stored, before = deliveries.delivery(), manifests.Platform("https://c:8081", "image")
    after = replace(before, **change)
    digests = {manifests.platform_digest(stored, one) for one in (before, after)}
    assert len(digests) == 1 + counts
    own = deliveries.delivery(client={"image": "own"})
    elsewhere = replace(before, client_image="other")
    assert manifests.platform_digest(own, before) == manifests.platform_digest(own, elsewhere)


def test_the_pod_tells_the_exam_client_everything() -> None:
    made = made_pod()
    (container,) = made["spec"]["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert env == {
        f"MEDXAMION_CLIENT_{name}": value
        for name, value in {
            "DELIVERY_ID": "7",
            "DELIVERY_UID": UID,
            "EPOCH": "3",
            "EXPECTS_DATA": "true",
            "VOLUME_DIR": "/var/lib/medxamion",
            "SECRET_DIR": "/etc/medxamion/delivery",
            "TLS_DIR": "/etc/medxamion/tls",
            "SERVICE_TOKEN_FILE": "/var/run/secrets/medxamion/token",
            "COORDINATOR_URL": "https://coordinator:8081",
            "COORDINATOR_CA_FILE": "/etc/medxamion/tls/ca.crt",
            "HOST": "0.0.0.0",  # noqa: S104  inside the pod
            "CONTROL_HOST": "0.0.0.0",  # noqa: S104
            "PORT": "8235",
            "CONTROL_PORT": "9235",
            "LOG_LEVEL": "info",
            "ADVERTISED_ORIGIN": "https://exam.example.org",
            "POD_UID": None,
        }.items()
    }
    assert made["metadata"] == meta(
        labels={**LABELS, "medxamion.io/protected": "true", "medxamion.io/epoch": "3"},
        annotations={
            "medxamion.io/object": "morning",
            "medxamion.io/template": "digest",
            "medxamion.io/platform": made["metadata"]["annotations"]["medxamion.io/platform"],
        },
    )
    assert made["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert made["spec"]["restartPolicy"] == "Always"
    assert container["image"] == "exam-client:1"


@pytest.mark.parametrize(("kind", "shown"), [("NodePort", True), ("Ingress", False)])
def test_a_persons_certificate_is_mounted_where_the_pod_shows_it(kind: str, shown: bool) -> None:
    spec = made_pod(access={"type": kind, "host": "exam.example.org", "tls": TLS})["spec"]
    names_ = {volume["name"] for volume in spec["volumes"]}
    env = {one["name"] for one in spec["containers"][0]["env"]}
    assert ("public-tls" in names_) is shown
    assert ("MEDXAMION_CLIENT_PUBLIC_TLS_DIR" in env) is shown


def test_of_a_persons_secret_only_the_certificate_is_seen_and_nothing_waits_for_it() -> None:
    volumes = made_pod(access={"type": "NodePort", "tls": TLS})["spec"]["volumes"]
    (mounted,) = [volume["secret"] for volume in volumes if volume["name"] == "public-tls"]
    assert [one["key"] for one in mounted["items"]] == ["tls.crt", "tls.key"]
    assert mounted["optional"] is True


@pytest.mark.parametrize(
    "host",
    [
        "medxamion-coordinator-internal.medxamion.svc",
        "Exam-1.Exams.Svc.Cluster.Local",
        "kubernetes.default.svc.",
    ],
)
def test_no_certificate_is_for_a_name_that_is_somebody_elses_in_the_cluster(host: str) -> None:
    stored = deliveries.delivery(access={"host": host})
    assert host not in access.certificate_hosts(stored, None)


@pytest.mark.parametrize("host", ["999.1.1.1", "1.2.3", "a:b"])
def test_what_only_looks_like_an_address_is_a_name(host: str) -> None:
    assert access.split_hosts((host, "192.0.2.7", "::1")) == ((host,), ("192.0.2.7", "::1"))


def test_no_other_pod_takes_the_place_of_one_with_a_priority_class() -> None:
    """A disruption budget does not hold a scheduler that needs room for something graver."""
    stored, start = deliveries.delivery(), Start(1, 7, "digest", None)
    plain = manifests.pod(stored, start, PLATFORM)
    assert "priorityClassName" not in plain["spec"]
    raised = manifests.pod(stored, start, replace(PLATFORM, priority_class="exams"))
    assert raised["spec"]["priorityClassName"] == "exams"
    marks = [made["metadata"]["annotations"]["medxamion.io/platform"] for made in (plain, raised)]
    assert marks[0] != marks[1]


def test_a_pod_without_an_address_or_pull_secrets_names_none() -> None:
    start = Start(1, 7, "digest", None)
    spec = manifests.pod(deliveries.delivery(), start, Platform("https://c", "i"))["spec"]
    assert "imagePullSecrets" not in spec
    env = {one["name"] for one in spec["containers"][0]["env"]}
    assert "MEDXAMION_CLIENT_ADVERTISED_ORIGIN" not in env


@pytest.mark.parametrize("class_name", [None, "fast"])
def test_the_claim_outlives_the_object(class_name: str | None) -> None:
    storage = {"size": "2Gi", **({"className": class_name} if class_name else {})}
    spec = {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "2Gi"}},
        **({"storageClassName": class_name} if class_name else {}),
    }
    notes = {"medxamion.io/object": "morning", "medxamion.io/secret-digest": "sha256:1"}
    assert manifests.claim(deliveries.delivery(storage=storage), "sha256:1") == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta(owned=False, finalizers=[FINALIZER], annotations=notes),
        "spec": spec,
    }


def test_the_keys_are_immutable_and_held() -> None:
    assert manifests.keys(deliveries.delivery(), {"storage.key": "a"}) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": meta(owned=False, finalizers=[FINALIZER]),
        "data": {"storage.key": "a"},
    }


@pytest.mark.parametrize(
    ("way", "kind", "port"),
    [
        ({}, "ClusterIP", {}),
        ({"type": "NodePort"}, "NodePort", {}),
        ({"type": "NodePort", "port": 30443}, "NodePort", {"nodePort": 30443}),
        ({"type": "Ingress", "host": "e.example.org"}, "ClusterIP", {}),
    ],
)
def test_the_service_of_each_way(way: Json, kind: str, port: Json) -> None:
    assert unsigned(access.service(deliveries.delivery(access=way), PLATFORM)) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(),
        "spec": {
            "type": kind,
            "publishNotReadyAddresses": True,
            "selector": {"medxamion.io/delivery": UID},
            "ports": [{"name": "public", "port": 8235, "targetPort": "public", **port}],
        },
    }


def test_an_ingress_goes_on_to_the_pod_with_tls() -> None:
    way = {"type": "Ingress", "host": "e.example.org", "tls": TLS}
    made = unsigned(access.ingress(deliveries.delivery(access=way), PLATFORM))
    backend = {"service": {"name": NAME, "port": {"name": "public"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    assert made["spec"] == {
        "ingressClassName": "nginx",
        "rules": [{"host": "e.example.org", "http": {"paths": paths}}],
        "tls": [{"hosts": ["e.example.org"], "secretName": "mine"}],
    }
    plain = access.ingress(
        deliveries.delivery(access={**way, "tls": None}), Platform("https://c", "i")
    )
    assert set(plain["spec"]) == {"rules"}


@pytest.mark.parametrize(
    ("gateway", "parent"),
    [
        ("infra/public", {"name": "public", "namespace": "infra"}),
        ("public", {"name": "public"}),
    ],
)
def test_a_route_attaches_to_the_gateway(gateway: str, parent: Json) -> None:
    way = {"type": "HTTPRoute", "host": "e.example.org"}
    platform = Platform("https://c", "i", gateway=gateway)
    made = unsigned(access.http_route(deliveries.delivery(access=way), platform))
    assert made["spec"] == {
        "parentRefs": [parent],
        "hostnames": ["e.example.org"],
        "rules": [{"backendRefs": [{"name": NAME, "port": 8235}]}],
    }


@pytest.mark.parametrize("version", ["v1", "v1alpha3"])
def test_a_gateway_is_told_to_speak_https_and_whom_to_believe(version: str) -> None:
    assert unsigned(access.backend_tls(deliveries.delivery(), version)) == {
        "apiVersion": f"gateway.networking.k8s.io/{version}",
        "kind": "BackendTLSPolicy",
        "metadata": meta(),
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": NAME}],
            "validation": {
                "caCertificateRefs": [
                    {"group": "", "kind": "ConfigMap", "name": "medxamion-deliveries-ca"}
                ],
                "hostname": f"{NAME}.default.svc",
            },
        },
    }
    bundle = unsigned(access.authorities("exams", "PEM"))
    assert (bundle["metadata"]["name"], bundle["metadata"]["namespace"]) == (
        "medxamion-deliveries-ca",
        "exams",
    )
    assert bundle["data"] == {"ca.crt": "PEM"}


def test_annotations_of_other_controllers_stand_beside_and_over_ours() -> None:
    protocol = "nginx.ingress.kubernetes.io/backend-protocol"
    platform = Platform(
        "https://c",
        "i",
        ingress_annotations={protocol: "GRPCS", "haproxy.org/server-ssl": "true"},
        service_annotations={"traefik.ingress.kubernetes.io/service.serversscheme": "https"},
    )
    stored = deliveries.delivery(access={"type": "Ingress", "host": "e.example.org"})
    plain = access.ingress(stored, PLATFORM)["metadata"]["annotations"]
    changed = access.ingress(stored, platform)["metadata"]["annotations"]
    assert plain[protocol] == "HTTPS"
    assert (changed[protocol], changed["haproxy.org/server-ssl"]) == ("GRPCS", "true")
    assert plain["medxamion.io/wanted"] != changed["medxamion.io/wanted"]
    notes = access.service(stored, platform)["metadata"]["annotations"]
    assert notes["traefik.ingress.kubernetes.io/service.serversscheme"] == "https"


def test_certificates_and_the_budget() -> None:
    stored = deliveries.delivery(access={"host": "192.0.2.7"})
    hosts = access.certificate_hosts(stored, None)
    spec = unsigned(access.certificate(stored, hosts, "ClusterIssuer/ca"))["spec"]
    assert spec["secretName"] == f"{NAME}-tls"
    assert spec["issuerRef"] == {
        "group": "cert-manager.io",
        "kind": "ClusterIssuer",
        "name": "ca",
    }
    assert spec["ipAddresses"] == ["127.0.0.1", "192.0.2.7"]
    assert access.certificate(stored, hosts, "ca")["spec"]["issuerRef"]["kind"] == "Issuer"
    assert access.certificate_hosts(deliveries.delivery(), "localhost").count("localhost") == 1
    held = access.certificate_secret(stored, {"tls.crt": "a"})
    assert held == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": meta(name=f"{NAME}-tls"),
        "data": {"tls.crt": "a"},
    }
    assert access.disruption_budget("exams")["spec"] == {
        "maxUnavailable": 0,
        "selector": {"matchLabels": {"medxamion.io/protected": "true"}},
    }
