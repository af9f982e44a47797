"""The participant page and the rules around it: time, pauses, policies, tabs and ways in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from tests.support import loopback
from tests.support.exam_hall import Hall, Seat, open_hall
from tests.support.sitting import (
    Profile,
    arrived,
    begin,
    go_to,
    heading,
    message,
    shows_saved,
    start_button,
)
from tests.support.waiting import until


def test_a_pause_hides_the_exam_and_its_end_brings_it_back(page: Page, exam: Seat) -> None:
    begin(page)
    page.get_by_label("Transcutaneous pacing").check()
    shows_saved(page)
    exam.pause()
    expect(page.get_by_role("heading", name="The exam is paused")).to_be_focused()
    assert "pacing" not in page.content()
    exam.resume()
    arrived(page, 1)
    expect(page.get_by_label("Transcutaneous pacing")).to_be_checked()
    expect(message(page, "The exam goes on")).to_be_visible()


def test_extra_time_and_announcements_arrive_without_a_reload(page: Page, exam: Seat) -> None:
    begin(page)
    exam.grant(900)
    exam.announce("Please stay <b>seated</b>.")
    expect(message(page, "You have 15 minutes more")).to_be_visible()
    expect(message(page, "Please stay <b>seated</b>.")).to_be_visible()
    expect(page.get_by_role("timer")).to_contain_text(re.compile("1:1[34]:"))
    message(page, "Please stay").get_by_role("button", name="Dismiss").click()
    page.reload()
    heading(page, 1).wait_for()
    expect(message(page, "Please stay")).to_have_count(0)


def test_at_the_deadline_the_page_locks_and_hands_in(profile: Profile, hall: Hall) -> None:
    page, exam = profile.page(), hall.short_seat()
    page.goto(exam.entrance())
    begin(page)
    expect(message(page, "seconds left")).to_be_visible()
    go_to(page, 5)
    page.get_by_label("Your answer (a few words)").fill("fibrillation")
    expect(page.get_by_role("heading", name="Your time is over")).to_be_focused()
    assert page.get_by_label("Your answer (a few words)").count() == 0
    expect(page.get_by_role("heading", name="Your time was over")).to_be_visible()
    page.locator(".receipt-code").wait_for()
    assert exam.stored(page.context) == {"5": "fibrillation"}


@pytest.fixture(scope="module")
def strict_hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """Another delivery: questions one after the other, and no answer is changed."""
    review = {"show_score": "never", "change_answers": False}
    folder = tmp_path_factory.mktemp("strict")
    with open_hall(folder, navigation="linear", review=review, language="ar") as hall:
        yield hall


def test_two_deliveries_in_one_browser_profile_do_not_disturb_each_other(
    profile: Profile, page: Page, exam: Seat, strict_hall: Hall
) -> None:
    other, second = strict_hall.seat(), profile.page()
    second.goto(other.entrance())
    begin(second)
    begin(page)
    second.get_by_label("Adenosine").check()
    second.get_by_role("button", name="Save this answer").click()
    page.get_by_label("Thrombolysis").check()
    until(lambda: exam.stored(profile.context) == {"1": "E"})
    until(lambda: other.stored(profile.context) == {"1": "A"})
    second.reload()
    arrived(second, 1)
    expect(second.get_by_label("Adenosine")).to_be_checked()
    names = {cookie["name"] for cookie in profile.context.cookies()}
    assert names == {f"mx_session_{exam.uid}", f"mx_session_{other.uid}"}


def test_where_answers_are_final_and_questions_linear_the_page_asks_first(
    profile: Profile, strict_hall: Hall
) -> None:
    page, exam = profile.page(), strict_hall.seat()
    page.goto(exam.entrance())
    begin(page)
    page.get_by_label("Adenosine").check()
    page.get_by_label("Thrombolysis").check()
    assert exam.stored(page.context) == {}
    page.keyboard.press("Alt+n")
    page.get_by_role("dialog", name="Leave without saving?").wait_for()
    page.get_by_role("button", name="Stay here").click()
    page.get_by_role("button", name="Save this answer for good").click()
    until(lambda: exam.stored(page.context) == {"1": "E"})
    expect(page.get_by_label("Adenosine")).to_be_disabled()
    page.keyboard.press("Alt+n")
    arrived(page, 2)
    expect(page.get_by_role("button", name="Previous")).to_have_count(0)
    expect(page.get_by_role("button", name="Question 1,")).to_be_disabled()
    page.keyboard.press("Alt+n")
    page.get_by_role("dialog", name="Leave this question?").wait_for()
    page.get_by_role("button", name="Go on").click()
    arrived(page, 3)
    expect(page.locator(".stem")).to_have_attribute("lang", "ar")


def test_a_second_tab_must_take_the_exam_over_from_the_first(
    profile: Profile, page: Page, exam: Seat
) -> None:
    begin(page)
    second = profile.page()
    second.goto(exam.url)
    second.get_by_role("heading", name="open in another tab").wait_for()
    second.get_by_role("button", name="Continue here").click()
    second.get_by_label("Transcutaneous pacing").check()
    until(lambda: exam.stored(page.context) == {"1": "B"})
    expect(page.get_by_role("heading", name="open in another tab")).to_be_visible()


@contextmanager
def coordinator_away(hall: Hall) -> Iterator[None]:
    """The exam-client has noticed that the coordinator is away."""
    hall.rig.coordinator.stop()

    def reachable() -> bool:
        reply = loopback.get(f"{hall.rig.client.url}/exam/info")
        return bool(reply.json()["coordinator_reachable"])

    until(lambda: not reachable(), what="the coordinator to be missed")
    try:
        yield
    finally:
        hall.rig.coordinator.start()


def test_offline_sign_in_says_what_is_wrong_and_lets_in(
    profile: Profile, exam: Seat, hall: Hall
) -> None:
    with coordinator_away(hall):
        page = profile.page()
        page.goto(exam.url)
        page.get_by_label("Identifier").fill(f"p{exam.participant_id}")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("Access code")).to_be_focused()
        page.get_by_label("Access code").fill("wrong")
        page.keyboard.press("Enter")
        alert = page.get_by_role("alert").filter(has_text="Check the identifier")
        expect(alert).to_be_visible()
        page.get_by_label("Access code").fill(exam.access_code)
        page.keyboard.press("Enter")
        start_button(page).wait_for()


def test_without_a_session_the_page_leads_to_the_sign_in(profile: Profile, exam: Seat) -> None:
    page = profile.page()
    page.goto(exam.url)
    link = page.get_by_role("link", name="Go to the sign-in page")
    expect(link).to_have_attribute("href", exam.hall.rig.bundle.sign_in_url)


def test_the_exam_is_taken_over_from_another_device_with_a_code(
    profile: Profile, exam: Seat
) -> None:
    exam.elsewhere().begin()
    page = profile.page()
    page.goto(exam.entrance())
    page.get_by_label("Takeover code").fill("not-this-one")
    page.get_by_role("button", name="Continue here").click()
    expect(page.get_by_label("Takeover code")).to_be_focused()
    page.get_by_label("Takeover code").fill(exam.takeover_code)
    page.get_by_role("button", name="Continue here").click()
    arrived(page, 1)


def test_a_session_that_was_taken_over_says_what_to_do(page: Page, exam: Seat) -> None:
    begin(page)
    exam.take_over()
    expect(page.get_by_role("heading", name="no longer open here")).to_be_focused()
    link = page.get_by_role("link", name="Sign in again")
    expect(link).to_have_attribute("href", exam.hall.rig.bundle.sign_in_url)
