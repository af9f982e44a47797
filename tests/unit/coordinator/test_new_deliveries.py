"""What an admin may ask of a new delivery's object, and what only the platform's people may."""

from typing import Any

import pytest

from coordinator.core.deliveries import Wanted, build_object
from coordinator.errors import RuleViolated
from tests.support import deliveries


def wanted(**spec: Any) -> Wanted:
    return Wanted(
        name="morning",
        namespace="exams",
        exam_id="sample",
        exam_version="1",
        content_digest=f"sha256:{'0' * 64}",
        roster_id="1",
        participants=2,
        opens_at=deliveries.NOON,
        closes_at=deliveries.NOON.replace(hour=14),
        grace_seconds=60,
        time_limit_seconds=3600,
        spec=spec,
    )


def test_no_image_is_run_because_an_admin_of_exams_named_it() -> None:
    with pytest.raises(RuleViolated) as refused:
        build_object(wanted(client={"image": "registry.example/thief:1"}))
    faults = refused.value.members["errors"]
    assert isinstance(faults, list)
    assert [fault["path"] for fault in faults] == ["spec.client.image"]


def test_the_rest_of_the_client_is_an_admins_to_choose() -> None:
    made = build_object(wanted(client={"resources": {"memory": "1Gi"}}))
    assert made.spec.client.resources.memory == "1Gi"
