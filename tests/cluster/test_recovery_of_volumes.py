"""Somebody takes the volume away under a running exam: what is acknowledged then, and what is said.

Answers that are gone are gone; what counts is that nobody is told otherwise.
"""

import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from exam_contract.delivery import ExamDelivery, Phase
from examctl.demonstration.objects import utc_now
from tests.support.cluster import claims, exam_day, faults, node
from tests.support.cluster.api import Api
from tests.support.cluster.ending import assert_ends_whole
from tests.support.cluster.hall import Hall
from tests.support.cluster.installation import Installation
from tests.support.cluster.objects import Delivery, container_of
from tests.support.cluster.proof import AT_ONCE, Proof, Scenario

PARTICIPANTS = 5
ANSWERS = 4 * PARTICIPANTS

pytestmark = pytest.mark.timeout(900, method="signal")


def test_an_exam_outlives_the_deletion_of_its_claim(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """The volume stays for as long as its data is nowhere else, a crash included."""
    name = "claim-deleted"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    delivery, claim = day.delivery, day.delivery.children
    with Hall(day) as hall:
        hall.answers(ANSWERS)
        uid = delivery.pod()["metadata"]["uid"]

        api.delete("persistentvolumeclaims", claim, namespace)

        delivery.wait_condition("Degraded", reason="VolumeDeletionPending")
        hall.answers(ANSWERS)
        seconds = hall.outage(lambda: faults.kill(delivery))
        hall.answers(ANSWERS)
        assert delivery.pod()["metadata"]["uid"] == uid
        assert (
            "deletionTimestamp" in api.get("persistentvolumeclaims", claim, namespace)["metadata"]
        )
        hall.finish()
    told = "SIGKILL while the claim is being deleted"
    scenario = Scenario(told, name, 1, (round(seconds, 2),), AT_ONCE)
    assert_ends_whole(day, hall.felt, proof, scenario)
    api.wait_gone("persistentvolumeclaims", claim, namespace)


def test_a_deleted_claim_is_made_anew_over_its_volume(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """Claim and pod deleted: nothing is begun on a blank volume, and the mend is as documented."""
    name = "claim-made-anew"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    delivery = day.delivery
    with Hall(day) as hall:
        hall.answers(ANSWERS)
        api.delete("persistentvolumeclaims", delivery.children, namespace)
        delivery.wait_condition("Degraded", reason="VolumeDeletionPending")
        faults.delete_pod(delivery)
        # The claim goes some moments after the pod that used it.
        delivery.wait_phase(Phase.RECOVERING)
        delivery.wait_condition("Degraded", words="make the claim anew")

        began = time.monotonic()
        claims.make_anew(api, namespace, delivery.children)
        seconds = round(hall.first_accepted(began) - began, 2)
        hall.answers(ANSWERS)
        hall.finish()
    told = "claim and pod deleted, claim made anew; from then"
    scenario = Scenario(told, name, 1, (seconds,))
    assert_ends_whole(day, None, proof, scenario)


def test_an_emptied_volume_is_refused_until_it_is_put_back(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """A new pod does not begin anew on it; with the files back, everybody goes on."""
    name = "volume-emptied"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    delivery = day.delivery
    with Hall(day) as hall:
        hall.answers(ANSWERS)
        folder = node.volume_folder(api, namespace, delivery.children)
        away = f"{folder}.away"

        node.shell(f"mkdir {away} && mv {folder}/* {away}/")
        emptied = utc_now()

        _assert_storage_lost(hall, delivery, emptied)
        faults.delete_pod(delivery)
        found = delivery.wait_condition("Degraded", reason="CrashLoop", seconds=120)
        assert "holds no database" in _message(found)
        assert not _is_ready(found)
        assert _acknowledged_since(hall, emptied) == 0

        cut = time.monotonic()
        node.shell(f"mv {away}/* {folder}/ && rmdir {away}")
        seconds = hall.first_accepted(cut) - cut
        hall.answers(ANSWERS)
        hall.finish()
    told = "volume emptied, refused, put back; from then"
    scenario = Scenario(told, name, 1, (round(seconds, 2),))
    assert_ends_whole(day, None, proof, scenario)


def test_nobody_pretends_that_deleted_files_came_back(
    installed: Installation, api: Api, namespace: str, tmp_path: Path, proof: Proof
) -> None:
    """Neither the running exam-client, nor its next start in place, nor the next pod."""
    name = "files-deleted"
    day = exam_day.begin(installed, namespace, tmp_path, name, participants=PARTICIPANTS)
    delivery = day.delivery
    with Hall(day) as hall:
        hall.answers(ANSWERS)
        folder = node.volume_folder(api, namespace, delivery.children)
        before = hall.tally.acknowledged

        node.shell(f"rm {folder}/delivery_*")
        deleted = utc_now()

        _assert_storage_lost(hall, delivery, deleted)

        faults.kill(delivery)
        _assert_started_anew_is_told(hall, delivery, deleted)
        assert container_of(delivery.pod())["restartCount"] > 0

        faults.delete_pod(delivery)
        _assert_started_anew_is_told(hall, delivery, deleted)
        assert delivery.read().status.epoch > 1

    delivery.annotate(discard_untransferred_data=delivery.uid)
    delivery.wait_phase(Phase.FAILED)
    told = "files deleted: answers acknowledged after that"
    proof.scenarios.append(Scenario(f"{told}: 0 ({before} before)", name, 1))


def _assert_storage_lost(hall: Hall, delivery: Delivery, since: datetime) -> None:
    """Acknowledging stopped at that moment, people are told why, and so is the platform."""
    found = delivery.wait_condition("Degraded", reason="StorageLost")
    hall.wait(lambda: _told_since(hall, since)["storage_lost"], what="people to be told")
    assert not _is_ready(found)
    assert _acknowledged_since(hall, since) == 0


def _assert_started_anew_is_told(hall: Hall, delivery: Delivery, since: datetime) -> None:
    """Another process runs on the volume; people ask it, and it lets nobody in."""
    faults.running_pid(delivery)
    asked = utc_now()
    found = delivery.wait_condition("Degraded", reason="StartedAnew", seconds=120)
    hall.wait(lambda: _told_since(hall, asked).total() > ANSWERS, what="people to ask it")
    assert not _is_ready(found)
    assert _acknowledged_since(hall, since) == 0


def _acknowledged_since(hall: Hall, moment: datetime) -> int:
    """How many answers that left after it were acknowledged."""
    sent: dict[str, datetime] = {}
    count = 0
    for entry in hall.entries():
        if entry["kind"] == "invoke":
            sent[entry["command"]] = datetime.fromisoformat(entry["at"])
        elif entry["kind"] == "ok":
            count += sent[entry["command"]] >= moment
    return count


def _told_since(hall: Hall, moment: datetime) -> Counter[str]:
    """What people were told instead, by problem code; nothing at all counts as such."""
    return Counter(
        entry.get("code", "nothing")
        for entry in hall.entries()
        if entry["kind"] in ("fail", "indeterminate")
        and datetime.fromisoformat(entry["at"]) >= moment
    )


def _message(found: ExamDelivery) -> str:
    return next(one.message for one in found.status.conditions if one.type == "Degraded")


def _is_ready(found: ExamDelivery) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in found.status.conditions)
