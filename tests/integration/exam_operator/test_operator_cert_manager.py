"""Certificates by cert-manager: awaited, used, and gone with the delivery they were made for."""

import base64
from pathlib import Path

import pytest

from exam_contract.delivery import ExamDeliveryStatus, Phase
from exam_operator.adapters.certificates import Authority
from tests.support.cluster_rig import NAMESPACE, ClusterRig, cluster_rig
from tests.support.endings import sockets_left_behind

pytestmark = sockets_left_behind
SETTINGS = {"tls_issuer": "cert-manager", "cert_manager_issuer": "ClusterIssuer/ca"}


def runs(status: ExamDeliveryStatus) -> bool:
    return status.phase is Phase.RUNNING


def let_cert_manager_work(rig: ClusterRig) -> None:
    def issue(hosts: tuple[str, ...]) -> dict[str, str]:
        made = Authority(rig.home / "ca").issue(hosts, rig.now())
        return {name: base64.b64encode(pem).decode() for name, pem in made.items()}

    rig.controllers.issue = issue


@pytest.mark.parametrize("end", ["deleted before anybody began", "cleaned up"])
async def test_no_private_key_outlives_its_delivery(tmp_path: Path, end: str) -> None:
    async with cluster_rig(tmp_path, **SETTINGS) as rig:
        let_cert_manager_work(rig)
        await rig.create()
        await rig.until(runs, "Running")
        name = f"exam-{rig.uid()}-tls"
        assert rig.store.find("secrets", NAMESPACE, name) is not None
        if end == "cleaned up":
            await rig.edit(desiredState="Finalised")
            await rig.until(lambda s: s.phase is Phase.CLEANED_UP, "the end")
        rig.store.delete("examdeliveries", NAMESPACE, "morning")

        async def is_gone() -> bool:
            return rig.store.find("secrets", NAMESPACE, name) is None

        await rig.wait(is_gone, "that the certificate's Secret goes, too")
