"""What only the cluster edge can get wrong: lost watches, stale writes, refusals, pods, nodes."""

import asyncio
import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from exam_contract.delivery import FINALIZER, NAMESPACE_LABEL, ExamDeliveryStatus, Phase
from exam_operator.adapters import certificates
from exam_operator.adapters.certificates import Authority
from exam_operator.core import sightings
from exam_operator.errors import Refused
from tests.support.certificate_folder import make_authority
from tests.support.cluster_rig import NAMESPACE, ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind
from tests.support.fake_kubelet import NODE
from tests.support.fake_store import Refusal
from tests.support.operator_thread import OperatorThread

pytestmark = sockets_left_behind


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


def degraded(status: ExamDeliveryStatus) -> str:
    """Why it is degraded; empty when it is not."""
    found = [c for c in status.conditions if c.type == "Degraded" and c.status == "True"]
    return found[0].reason if found else ""


async def test_a_container_that_crashed_is_counted_once_and_keeps_its_epoch(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        rig.kubelet.kill(rig.uid())
        status = await rig.until(lambda s: runs(s) and s.restarts.count == 1, "its return")
        assert (status.epoch, status.restarts.last_reason) == (1, "Signal:SIGKILL")
        rig.kubelet.kill(rig.uid())
        await rig.until(lambda s: runs(s) and s.epoch == 2, "a successor instead of a back-off")


async def test_an_evicted_pod_makes_room_for_a_successor(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        rig.kubelet.evict(f"exam-{rig.uid()}", NAMESPACE)
        await rig.until(lambda s: runs(s) and s.epoch == 2, "a successor")


async def test_an_unwilling_api_server_delays_and_breaks_nothing(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        rig.api.fail("update", "examdeliveries/status", 409, times=2, reason="Conflict")
        rig.api.fail("create", "pods", 429, reason="TooManyRequests")
        rig.api.fail("create", "secrets", lost=True)
        await rig.create()
        await rig.until(runs, "Running")
        rig.api.drop_watches()
        rig.store.forget_history()
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > 1, "a successor after 410 Gone")


async def test_an_end_that_no_watch_told_of_is_seen_all_the_same(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        first = (await rig.until(runs, "Running")).epoch
        rig.api.hold("pods")
        await rig.crash()
        await rig.until(lambda s: runs(s) and s.epoch > first, "a successor")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("exceeded quota: exams, requested: pods=1", "QuotaExceeded"),
        ("failed quota: exams: must specify limits.cpu for: exam-client", "QuotaUnanswered"),
        ("maximum memory usage per Container is 256Mi, but limit is 512Mi", "AdmissionRefused"),
        ('violates PodSecurity "restricted:latest": seccompProfile', "AdmissionRefused"),
        ("error looking up service account exams/exam-client: not found", "AdmissionRefused"),
        (
            'User "system:serviceaccount:medxamion-operator:medxamion-operator" cannot create'
            ' resource "pods" in API group "" in the namespace "exams"',
            "Forbidden",
        ),
    ],
)
async def test_a_refused_start_is_told_and_burns_no_epoch(
    tmp_path: Path, said: str, reason: str
) -> None:
    async with cluster_rig(tmp_path) as rig:

        def no_quota(verb: str, before: object, raw: object) -> None:
            if verb == "create":
                raise Refusal(403, "Forbidden", f'pods "exam-x" is forbidden: {said}')

        rig.store.admissions["pods"].append(no_quota)
        await rig.create()
        await rig.until(lambda s: degraded(s) == reason, "the refusal")
        rig.store.admissions["pods"].remove(no_quota)
        status = await rig.until(runs, "Running")
        assert (status.epoch, status.restarts.count) == (1, 0)


async def test_a_quota_that_others_use_too_is_no_pod_and_burns_no_epoch(tmp_path: Path) -> None:
    """The API server answers 409 also where its own count of a quota was changed meanwhile."""
    async with cluster_rig(tmp_path) as rig:
        for plural in ("secrets", "persistentvolumeclaims", "pods"):
            rig.api.fail("create", plural, 409, times=2, reason="Conflict")
        await rig.create()
        status = await rig.until(runs, "Running")
        assert (status.epoch, status.restarts.count) == (1, 0)


async def test_keys_that_are_gone_are_told_and_never_drawn_anew(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        name = f"exam-{rig.uid()}"
        rig.store.edit("secrets", NAMESPACE, name, lambda raw: raw["metadata"].pop("finalizers"))
        rig.store.delete("secrets", NAMESPACE, name)
        rig.pass_time(seconds=11)
        await rig.until(lambda s: degraded(s) == "SecretMissing", "the loss")
        assert rig.child("secrets") is None


async def test_a_hung_pod_that_is_to_restart_has_seconds_and_another_one_minutes(
    tmp_path: Path,
) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        rig.container().silent = True
        await rig.until(lambda s: _condition(s, "ClientHealthy") != "Answering", "silence")
        rig.pass_time(seconds=11)
        await rig.annotate(restart_requested_at="now")
        await rig.wait(lambda: _grace_of(rig), "the deletion")
        assert await _grace_of(rig) == 10


@pytest.mark.parametrize("policy", ["Wait", "Replace"])
async def test_a_lost_node_never_gives_a_second_exam_client(tmp_path: Path, policy: str) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create(recovery={"nodeLossPolicy": policy})
        await rig.until(runs, "Running")
        rig.kubelet.add_node("node-2")
        rig.kubelet.lose_node(NODE)
        await rig.until(lambda s: _condition(s, "ClientHealthy") != "Answering", "silence")
        rig.pass_time(seconds=11)
        await rig.until(lambda s: degraded(s) == "NodeNotReady", "the node's trouble")
        assert rig.calls("delete", "pods") == []
        rig.kubelet.declare_out_of_service(NODE)
        rig.pass_time(seconds=6)
        if policy == "Replace":
            await rig.until(lambda s: runs(s) and s.epoch == 2, "exactly one successor")


async def test_protection_stands_before_any_data_and_goes_with_it(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        order = [(one.verb, one.resource) for one in rig.api.calls]
        first = order.index(("create", "secrets"))
        assert order.index(("patch", "namespaces")) < first
        assert order.index(("patch", "examdeliveries")) < first
        assert FINALIZER in rig.raw()["metadata"]["finalizers"]
        await rig.sit(1, 0)
        await rig.until(lambda s: s.counts.started == 1, "an attempt")
        with pytest.raises(Refusal):
            rig.store.delete("examdeliveries", NAMESPACE, "morning")
        with pytest.raises(Refusal):
            rig.store.delete("namespaces", "", NAMESPACE)
        await rig.edit(desiredState="Finalised")
        await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "CleanedUp")
        assert FINALIZER not in rig.raw()["metadata"].get("finalizers", [])
        assert NAMESPACE_LABEL not in rig.store.get("namespaces", "", NAMESPACE)["metadata"].get(
            "labels", {}
        )
        _was_gentle(rig)


def _was_gentle(rig: ClusterRig) -> None:
    """Never a force, never the wrong object, never more of the Secrets than one by name."""
    deleted = [one for one in rig.api.calls if one.verb == "delete"]
    assert deleted
    assert all(one.body["preconditions"]["uid"] for one in deleted)
    assert all("gracePeriodSeconds" not in one.body for one in deleted)
    assert rig.calls("list", "secrets") + rig.calls("watch", "secrets") == []


async def test_a_new_operator_does_not_take_the_address_back(tmp_path: Path) -> None:
    """People have it from the object; what is not worked out yet is no news."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create(access={"type": "NodePort"})
        told = await rig.until(runs, "Running")
        await rig.stop_operator()
        before = len(rig.calls("update", "examdeliveries/status"))
        await rig.sit(begun=1, submitted=0)
        await rig.start_operator()
        await rig.until(lambda s: s.counts.started == 1, "that somebody began")
        written = rig.calls("update", "examdeliveries/status")[before:]
        addresses = [one.body["status"]["endpoint"].get("public") for one in written]
        assert addresses == [told.endpoint.public] * len(written)
        assert written


async def test_the_way_that_an_edit_leaves_is_closed(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.create(access={"type": "Ingress", "host": "exam.example.org"})
        status = await rig.until(runs, "Running")
        assert status.endpoint.public == "https://exam.example.org"
        await rig.edit(access={"type": "NodePort"})

        async def closed() -> bool:
            return rig.child("ingresses") is None

        await rig.wait(closed, "the end of the Ingress")
        public = (
            await rig.until(lambda s: "192.0.2.7" in str(s.endpoint.public), "a port")
        ).endpoint
        assert public.public == "https://192.0.2.7:30000"


async def test_a_certificate_that_ended_is_told_and_renewed(tmp_path: Path) -> None:
    """A person put it there, or the operator was away when it should have renewed it."""
    async with cluster_rig(tmp_path) as rig:
        await rig.create()
        await rig.until(runs, "Running")
        name, authority = f"exam-{rig.uid()}-tls", Authority(tmp_path / "ca")
        ended = authority.issue((name,), rig.now() - timedelta(days=91))
        data = {part: base64.b64encode(pem).decode() for part, pem in ended.items()}

        def held() -> datetime | None:
            found = rig.store.get("secrets", NAMESPACE, name)
            return certificates.expires_at(sightings.decoded(found))

        await rig.stop_operator()
        rig.store.merge("secrets", NAMESPACE, name, {"data": data})
        refusal = rig.api.fail("patch", "secrets", 500, times=10_000)
        await rig.start_operator()
        status = await rig.until(lambda s: degraded(s) == "CertificateExpired", "the word")
        assert status.phase is Phase.RUNNING
        rig.api.faults.remove(refusal)

        async def renewed() -> bool:
            ends = held()
            return ends is not None and ends > rig.now()

        await rig.wait(renewed, "another certificate")
        await rig.until(lambda s: degraded(s) == "" and runs(s), "the end of the trouble")


ROUTE = {"type": "HTTPRoute", "host": "exam.example.org"}


async def test_a_gateway_is_told_to_speak_https_before_it_has_a_route(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path, gateway="gateways/public") as rig:
        await rig.create(access=ROUTE)
        status = await rig.until(runs, "Running")
        assert (status.endpoint.public, degraded(status)) == ("https://exam.example.org", "")
        policy = rig.child("backendtlspolicies")
        bundle = rig.store.get("configmaps", NAMESPACE, "medxamion-deliveries-ca")
        assert policy is not None
        assert bundle["data"] == {"ca.crt": (tmp_path / "ca" / "ca.crt").read_text()}
        made = [one.resource for one in rig.api.calls if one.verb == "create"]
        assert made.index("backendtlspolicies") < made.index("httproutes")
        make_authority(tmp_path / "ca")
        rig.pass_time(minutes=6)

        async def followed() -> bool:
            found = rig.store.get("configmaps", NAMESPACE, "medxamion-deliveries-ca")
            return bool(found["data"]["ca.crt"] == (tmp_path / "ca" / "ca.crt").read_text())

        await rig.wait(followed, "the new authority in the Gateway's bundle")


async def test_a_cluster_without_the_policy_is_told_and_what_comes_is_used(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path, gateway="gateways/public") as rig:
        rig.api.missing.add("backendtlspolicies")
        await rig.create(access=ROUTE)
        status = await rig.until(lambda s: degraded(s) == "BackendTlsUnserved", "the word")
        (said,) = [c.message for c in status.conditions if c.type == "Degraded"]
        assert "Gateway API 1.4" in said
        await rig.until(runs, "Running all the same")
        rig.api.missing.remove("backendtlspolicies")
        rig.pass_time(seconds=6)
        await rig.until(lambda s: degraded(s) == "", "the end of the trouble")

        async def made() -> bool:
            return rig.child("backendtlspolicies") is not None

        await rig.wait(made, "the policy")


@pytest.mark.parametrize("plural", ["httproutes", "backendtlspolicies"])
async def test_what_the_gateway_refuses_is_told_and_heals(tmp_path: Path, plural: str) -> None:
    async with cluster_rig(tmp_path, gateway="gateways/public") as rig:
        await rig.create(access=ROUTE)
        await rig.until(runs, "Running")
        name = f"exam-{rig.uid()}"

        def judged(status: str) -> None:
            condition = {"type": "Accepted", "status": status, "message": "no such listener"}
            told = {"status": {"parents": [{"conditions": [condition]}]}}
            rig.store.edit(plural, NAMESPACE, name, lambda raw: raw.update(told))

        judged("False")
        rig.pass_time(minutes=6)
        await rig.until(lambda s: degraded(s) == "RouteNotAccepted", "the refusal")
        judged("True")
        rig.pass_time(seconds=6)
        await rig.until(lambda s: degraded(s) == "", "the end of the trouble")


@pytest.mark.parametrize(
    ("way", "plurals"),
    [
        ({"type": "Ingress", "host": "exam.example.org"}, ["ingresses"]),
        (ROUTE, ["httproutes", "backendtlspolicies"]),
    ],
)
async def test_a_way_in_is_closed_though_the_service_stays_as_it_is(
    tmp_path: Path, way: dict[str, str], plurals: list[str]
) -> None:
    async with cluster_rig(tmp_path, gateway="gateways/public") as rig:
        await rig.create(access=way)
        await rig.until(runs, "Running")
        assert all(rig.child(plural) for plural in plurals)
        await rig.edit(access={"type": "ClusterIP"})

        async def closed() -> bool:
            return not any(rig.child(plural) for plural in plurals)

        await rig.wait(closed, "the end of the way in")


def _condition(status: ExamDeliveryStatus, type_: str) -> str:
    return next((c.reason for c in status.conditions if c.type == type_), "")


async def test_a_cluster_without_the_chart_ends_the_operator_in_words(tmp_path: Path) -> None:
    async with cluster_rig(tmp_path) as rig:
        await rig.stop_operator()
        rig.api.missing.add("examdeliveries")
        operator = await asyncio.to_thread(OperatorThread(rig.settings(), rig.now).start)
        assert await asyncio.to_thread(operator.ended.wait, 20)
        assert isinstance(operator.failure, ExceptionGroup)
        assert operator.failure.subgroup(Refused) is not None
        assert "install the chart first" in str(operator.failure.exceptions[0])


async def _grace_of(rig: ClusterRig) -> int | None:
    """Of the pod's deletion; None while nobody asked for one."""
    pod = rig.child("pods")
    return None if pod is None else pod["metadata"].get("deletionGracePeriodSeconds")
