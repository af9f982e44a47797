"""The participant page's fixtures: a browser, a profile that hears complaints, an open exam."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import chromium
from tests.support.exam_hall import Hall, Seat, open_hall
from tests.support.sitting import Profile, start_button
from tests.support.waiting import PATIENCE_SECONDS

expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=list(chromium.ARGUMENTS)
        )
        yield browser
        browser.close()


@pytest.fixture
def profile(browser: Browser) -> Iterator[Profile]:
    """Any script error, console error or violated content policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    profile = Profile(context)
    yield profile
    context.close()
    assert profile.complaints == []


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with open_hall(tmp_path_factory.mktemp("hall")) as hall:
        yield hall


@pytest.fixture
def exam(hall: Hall) -> Seat:
    return hall.seat()


@pytest.fixture
def page(profile: Profile, exam: Seat) -> Page:
    """The page in its lobby."""
    page = profile.page()
    page.goto(exam.entrance())
    start_button(page).wait_for()
    return page
