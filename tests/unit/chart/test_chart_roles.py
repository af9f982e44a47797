"""The Roles in the templates are the table that a real API server is held against, to the verb."""

import pytest

from tests.support import chart_rights
from tests.support.account_rights import EVERYWHERE, WITH_DELIVERIES, Right
from tests.support.cluster.installation import DELIVERY_NAMESPACES


@pytest.mark.parametrize("part", ["operator", "coordinator"])
def test_a_role_is_its_table(part: str) -> None:
    written = {
        one for right in chart_rights.rights(f"medxamion-{part}") for one in _as_table(right)
    }

    assert written == EVERYWHERE[part] | WITH_DELIVERIES[part]


@pytest.mark.parametrize("part", ["operator", "coordinator"])
def test_no_role_has_a_wildcard(part: str) -> None:
    words = {
        word
        for right in chart_rights.rights(f"medxamion-{part}")
        for word in (right.verb, right.group, right.resource)
    }

    assert "*" not in words


def _as_table(right: chart_rights.Right) -> set[Right]:
    names = DELIVERY_NAMESPACES if right.names == (chart_rights.VALUE,) else right.names
    resource = f"{right.group}/{right.resource}"
    return {(right.verb, resource, name) for name in names or ("",)}
