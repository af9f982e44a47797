"""One coordinator with two deliveries for all dashboard tests, and browser profiles by role."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support import postgres
from tests.support.dashboard_staff import ROLES, People, Staff
from tests.support.dashboard_world import World, dashboard_world


@pytest.fixture(scope="session")
def world(pg_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("coordinator")
    with postgres.fresh_database(pg_server) as dsn, dashboard_world(dsn, folder) as world:
        for role in ROLES:
            world.account(role, (role, None))
        world.account("foreign", ("committee", "another-exam"))
        yield world


@pytest.fixture(scope="session")
def sessions(world: World) -> dict[str, Any]:
    """What a browser keeps of each role's sign-in."""
    return {role: world.sign_in(role) for role in ROLES}


@pytest.fixture
def profiles() -> Iterator[list[Staff]]:
    """Any script error, console error or violated content policy fails the test."""
    opened: list[Staff] = []
    yield opened
    for staff in opened:
        staff.context.close()
    assert [complaint for staff in opened for complaint in staff.complaints] == []


@pytest.fixture
def people(
    world: World, browser: Browser, sessions: dict[str, Any], profiles: list[Staff]
) -> People:
    return People(world, browser, sessions, profiles)
