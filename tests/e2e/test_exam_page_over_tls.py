"""The participant page over https, as pods serve it: sign-in by fragment, Secure cookie, saving."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.support.certificates import Issuer
from tests.support.exam_hall import open_hall
from tests.support.sitting import Profile, arrived, begin, shows_saved, start_button


def test_the_exam_is_sat_over_https(browser: Browser, tmp_path: Path) -> None:
    with open_hall(tmp_path, Issuer()) as hall:
        seat = hall.seat()
        context = browser.new_context(ignore_https_errors=True, locale="en-GB")
        profile = Profile(context)
        page = profile.page()
        page.goto(seat.entrance())
        start_button(page).wait_for()
        assert page.url == f"{seat.url}/", "the token must not stay in the address"
        begin(page)
        page.get_by_role("radio").first.check()
        shows_saved(page)
        cookies = [cookie for cookie in context.cookies() if seat.uid in cookie["name"]]
        assert [(found["secure"], found["httpOnly"]) for found in cookies] == [(True, True)]
        page.reload()
        arrived(page, 1)
        assert page.get_by_role("radio").first.is_checked()
        context.close()
        assert profile.complaints == []
