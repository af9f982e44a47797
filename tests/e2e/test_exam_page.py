"""The participant page in a real Chromium: by keyboard and by mouse, through faults and pauses."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.support import accessibility, chromium
from tests.support.exam_hall import Hall, Seat, open_hall
from tests.support.page_exam import MARKUP
from tests.support.waiting import until


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=list(chromium.ARGUMENTS)
        )
        yield browser
        browser.close()


@dataclass
class Profile:
    """A browser profile that hears what its pages complain about."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        return page

    def _hear(self, kind: str, text: str) -> None:
        # Chromium reports each failed request by itself; those are what these tests make happen.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)


@pytest.fixture
def profile(browser: Browser) -> Iterator[Profile]:
    """Any script error, console error or violated content policy fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(10_000)
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


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Start the exam")


def begin(page: Page) -> None:
    start_button(page).click()
    arrived(page, 1)


def arrived(page: Page, number: int) -> None:
    expect(heading(page, number)).to_be_focused()
    page.locator(".points").wait_for()


def heading(page: Page, number: int) -> Locator:
    return page.get_by_role("heading", name=f"Question {number} of 7")


def go_to(page: Page, number: int) -> None:
    page.get_by_role("button", name=f"Question {number},").click()
    arrived(page, number)


def shows_saved(page: Page) -> None:
    page.locator(".save[data-kind=saved]").wait_for()


def message(page: Page, text: str) -> Locator:
    return page.locator(".message", has_text=text)


def test_the_whole_exam_is_sat_by_keyboard_alone(page: Page, exam: Seat) -> None:
    press, write = page.keyboard.press, page.keyboard.type
    assert "#" not in page.url, "the token must not stay in the address"
    start_button(page).focus()
    press("Enter")
    arrived(page, 1)
    for key in ("Tab", "Tab", "Tab", "Space", "ArrowDown"):  # flag, enlarge, first option
        press(key)
    press("Alt+n")
    arrived(page, 2)
    for key in ("Tab", "Tab", "Tab", "Space", "Tab", "Space", "ArrowRight"):
        press(key)
    press("Alt+n")
    arrived(page, 3)
    for key in (
        "Tab",
        "Tab",
        "Space",
        *["Tab"] * 6,
        "Space",
    ):  # each option has a strike-out button
        press(key)
    press("Alt+n")
    arrived(page, 4)
    for key in ("Tab", "Tab"):
        press(key)
    write("7,35")
    press("Alt+n")
    arrived(page, 5)
    for key in ("Tab", "Tab"):
        press(key)
    write("Atrial fibrillation")
    press("Alt+n")
    arrived(page, 6)
    for key in ("Tab", "Tab"):
        press(key)
    write("It watches the heart.\nIt steps in when needed.")
    press("Alt+s")
    dialog = page.get_by_role("dialog", name="Submit your exam?")
    expect(dialog).to_contain_text("1 of 7 questions have no answer")
    page.get_by_role("button", name="Question 7", exact=True).focus()
    press("Enter")
    arrived(page, 7)
    press("Alt+s")
    page.get_by_role("button", name="Submit the exam").focus()
    press("Enter")
    expect(page.locator(".receipt-code")).to_have_text(re.compile(r"^[0-9A-Z-]{8,}$"))
    expect(page.get_by_role("heading", name="Your exam is submitted")).to_be_focused()
    expect(page.get_by_text("36 %")).to_be_visible()
    assert exam.stored(page.context) == {
        "1": "B",
        "2": {"A": True, "B": False},
        "3": ["A", "D"],
        "4": "7.35",
        "5": "Atrial fibrillation",
        "6": "It watches the heart.\nIt steps in when needed.",
    }


def test_the_whole_exam_is_sat_by_mouse(page: Page, exam: Seat) -> None:
    begin(page)
    page.get_by_label("Transcutaneous pacing").click()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("group", name="The QRS complex").get_by_text("False").click()
    page.get_by_role("button", name="Flag", exact=True).click()
    expect(page.get_by_role("button", name="Question 2, answered, flagged")).to_be_visible()
    go_to(page, 7)
    page.get_by_label("As it is").click()
    page.get_by_role("button", name="Review and submit").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("4 of 7 questions have no answer")
    page.get_by_role("button", name="Submit the exam").click()
    page.locator(".receipt-code").wait_for()
    assert exam.stored(page.context) == {"1": "B", "2": {"B": False}, "7": "A"}


def test_a_cleared_answer_is_stored_as_none(page: Page, exam: Seat) -> None:
    begin(page)
    page.get_by_label("Transcutaneous pacing").check()
    page.get_by_role("button", name="Clear answer").click()
    until(lambda: exam.stored(page.context) == {"1": None})
    expect(page.get_by_role("button", name="Question 1, unanswered")).to_be_visible()


def test_no_more_than_n_options_can_be_picked(page: Page, exam: Seat) -> None:
    begin(page)
    go_to(page, 3)
    for option in ("Verapamil", "Salbutamol"):
        page.get_by_label(option).check()
    page.get_by_label("Bisoprolol").click()
    expect(page.get_by_text("You can choose no more than 2")).to_be_visible()
    expect(page.get_by_label("Bisoprolol")).not_to_be_checked()
    until(lambda: exam.stored(page.context) == {"3": ["A", "B"]})


def test_what_is_no_number_is_not_saved_and_says_so(page: Page, exam: Seat) -> None:
    begin(page)
    go_to(page, 4)
    page.get_by_label("Your answer in pH units").fill("about 7")
    expect(page.get_by_role("alert").filter(has_text="type a number")).to_be_visible()
    expect(page.get_by_role("button", name="Question 4, unanswered")).to_be_visible()
    page.get_by_label("Your answer in pH units").fill("−7.35")
    until(lambda: exam.stored(page.context) == {"4": "-7.35"})
    expect(page.get_by_text("type a number")).to_be_hidden()


def test_a_reload_brings_back_answers_flags_strikes_and_place(page: Page, exam: Seat) -> None:
    begin(page)
    page.get_by_label("Transcutaneous pacing").check()
    page.get_by_role("button", name="Strike out option C").click()
    page.get_by_role("button", name="Flag", exact=True).click()
    go_to(page, 5)
    page.get_by_label("Your answer (a few words)").fill("flutter")
    until(lambda: "5" in exam.stored(page.context))
    page.reload()
    arrived(page, 5)
    expect(page.get_by_label("Your answer (a few words)")).to_have_value("flutter")
    page.get_by_role("button", name="Question 1, answered, flagged").click()
    expect(page.get_by_label("Transcutaneous pacing")).to_be_checked()
    struck = page.get_by_role("button", name="Strike out option C")
    expect(struck).to_have_attribute("aria-pressed", "true")


def test_unsaved_answers_survive_a_reload_and_are_saved_later(page: Page, exam: Seat) -> None:
    begin(page)
    page.route("**/exam/answer*", lambda route: route.abort())
    page.get_by_label("Transcutaneous pacing").check()
    go_to(page, 6)
    page.get_by_label("Your answer").fill("A first line.")
    expect(page.get_by_text("Offline: 2 answers wait on this device")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("A first line.")
    expect(page.get_by_text("2 answers wait on this device")).to_be_visible()
    page.unroute("**/exam/answer*")
    shows_saved(page)
    assert exam.stored(page.context) == {"1": "B", "6": "A first line."}
    assert exam.revisions(page.context) == {"1": 1, "6": 1}


def test_what_waits_on_the_device_is_encrypted(page: Page) -> None:
    begin(page)
    page.route("**/exam/answer*", lambda route: route.abort())
    go_to(page, 5)
    page.get_by_label("Your answer (a few words)").fill("sinus arrhythmia")
    page.get_by_text("1 answer waits on this device").wait_for()
    held = page.evaluate(_READ_DATABASE)
    assert held["records"] >= 1
    assert held["plain"] is False
    assert held["extractable"] is False


_READ_DATABASE = """async () => {
  const [{ name }] = await indexedDB.databases();
  const wait = (r) => new Promise((resolve) => (r.onsuccess = () => resolve(r.result)));
  const database = await wait(indexedDB.open(name));
  const all = (store) => wait(database.transaction(store).objectStore(store).getAll());
  const [records, [key]] = [await all("records"), await all("keys")];
  const texts = records.map(({ data }) => new TextDecoder().decode(data));
  return { records: records.length, plain: texts.some((t) => /sinus|answer|flags/.test(t)),
           extractable: key.extractable };
}"""


def test_answers_given_while_the_server_is_down_are_saved_once_when_it_is_back(
    page: Page, exam: Seat, hall: Hall
) -> None:
    begin(page)
    page.get_by_label("Adenosine").check()
    shows_saved(page)
    hall.rig.client.kill()
    page.get_by_label("Transcutaneous pacing").check()
    page.keyboard.press("Alt+n")
    page.get_by_role("group", name="Atria").get_by_label("True").check()
    page.keyboard.press("Alt+n")
    page.get_by_label("Verapamil").check()
    page.get_by_label("Bisoprolol").check()
    expect(page.get_by_text("Offline: 3 answers wait on this device")).to_be_visible()
    hall.rig.client.start()
    shows_saved(page)
    assert exam.stored(page.context) == {"1": "B", "2": {"A": True}, "3": ["A", "D"]}
    written = exam.revisions(page.context)
    assert (written["1"], written["2"]) == (2, 1)
    assert written["3"] in (1, 2), "the second tick may have found the first one still unsent"


def test_a_lost_reply_is_asked_for_again_with_the_same_command(page: Page, exam: Seat) -> None:
    begin(page)
    commands: list[str] = []

    def lose_once(route: object) -> None:
        commands.append(json.loads(route.request.post_data)["command_id"])  # type: ignore[attr-defined]
        if len(commands) == 1:
            route.fetch()  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    page.route("**/exam/answer", lose_once)
    page.get_by_label("Transcutaneous pacing").check()
    shows_saved(page)
    assert commands[0] == commands[1]
    assert exam.revisions(page.context) == {"1": 1}


def test_typing_without_a_rest_is_saved_within_a_second(page: Page, exam: Seat) -> None:
    begin(page)
    go_to(page, 6)
    field = page.get_by_label("Your answer")
    field.focus()
    page.keyboard.type("x" * 60, delay=40)
    assert exam.revisions(page.context)["6"] >= 2
    until(lambda: exam.stored(page.context) == {"6": "x" * 60})


def test_an_answer_stored_elsewhere_is_shown_and_said(page: Page, exam: Seat) -> None:
    begin(page)
    page.route("**/exam/progress", lambda route: route.abort())
    exam.write(page.context, 1, "D")
    page.get_by_label("Transcutaneous pacing").check()
    expect(message(page, "Question 1 now shows the answer that is stored")).to_be_visible()
    expect(page.get_by_label("Observation")).to_be_checked()
    page.get_by_role("button", name="Use my answer").click()
    until(lambda: exam.stored(page.context) == {"1": "B"})
    expect(page.get_by_label("Transcutaneous pacing")).to_be_checked()


def test_leaving_with_unsaved_answers_asks_first(page: Page) -> None:
    begin(page)
    page.route("**/exam/answer*", lambda route: route.abort())
    page.get_by_label("Transcutaneous pacing").check()
    page.get_by_text("1 answer waits on this device").wait_for()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    assert asked == ["beforeunload"]


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


def test_extra_time_and_announcements_arrive_within_two_seconds(page: Page, exam: Seat) -> None:
    begin(page)
    exam.grant(900)
    exam.announce("Please stay <b>seated</b>.")
    soon = 2_500  # the limit of two seconds, and the time to draw
    expect(message(page, "You have 15 minutes more")).to_be_visible(timeout=soon)
    expect(message(page, "Please stay <b>seated</b>.")).to_be_visible(timeout=soon)
    expect(page.get_by_role("timer")).to_contain_text("1:14:")
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
    expect(page.get_by_role("heading", name="Your time is over")).to_be_focused(timeout=8_000)
    assert page.get_by_label("Your answer (a few words)").count() == 0
    expect(page.get_by_role("heading", name="Your time was over")).to_be_visible()
    page.locator(".receipt-code").wait_for()
    assert exam.stored(page.context) == {"5": "fibrillation"}


def test_two_deliveries_in_one_browser_profile_do_not_disturb_each_other(
    profile: Profile, page: Page, exam: Seat, tmp_path: Path
) -> None:
    with open_hall(tmp_path) as other_hall:
        other, second = other_hall.seat(), profile.page()
        second.goto(other.entrance())
        begin(second)
        begin(page)
        second.get_by_label("Adenosine").check()
        page.get_by_label("Thrombolysis").check()
        until(lambda: exam.stored(profile.context) == {"1": "E"})
        until(lambda: other.stored(profile.context) == {"1": "A"})
        second.reload()
        expect(second.get_by_label("Adenosine")).to_be_checked()
        names = {cookie["name"] for cookie in profile.context.cookies()}
        assert names == {f"mx_session_{exam.uid}", f"mx_session_{other.uid}"}


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
        reply = httpx.get(f"{hall.rig.client.url}/exam/info")
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


def test_text_of_the_exam_is_never_markup(page: Page) -> None:
    begin(page)
    go_to(page, 7)
    expect(page.get_by_text(f"Text is shown as it is: {MARKUP}")).to_be_visible()
    assert page.locator("article img").count() == 0
    assert "broken" not in page.title()


def test_an_image_can_be_enlarged_by_keyboard(page: Page) -> None:
    begin(page)
    page.get_by_role("button", name="Enlarge the image").press("Enter")
    dialog = page.get_by_role("dialog", name="Image")
    expect(dialog.get_by_role("img", name="Rhythm strip")).to_be_visible()
    dialog.get_by_role("button", name="Larger").press("Enter")
    expect(dialog.get_by_text("150 %")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Enlarge the image")).to_be_focused()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_every_screen_can_be_used_by_everybody(
    browser: Browser, exam: Seat, scheme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 640},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    wrong: dict[str, list[str]] = {}

    def look(screen: str) -> None:
        if found := accessibility.findings(page):
            wrong[screen] = found

    page.goto(exam.url)
    page.get_by_role("link", name="Go to the sign-in page").wait_for()
    look("sign-in")
    page.goto("about:blank")
    page.goto(exam.entrance())
    start_button(page).wait_for()
    look("lobby")
    start_button(page).click()
    page.get_by_label("Transcutaneous pacing").check()
    page.get_by_role("button", name="Strike out option C").click()
    page.get_by_role("button", name="Strike out option B").click()
    page.keyboard.press("Alt+m")
    exam.announce("Please stay seated.")
    message(page, "Please stay").wait_for()
    for number in range(1, 8):
        heading(page, number).wait_for()
        page.locator(".question-body .points").wait_for()
        look(f"question {number}")
        page.keyboard.press("Alt+n")
    page.keyboard.press("Alt+s")
    look("submit dialog")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+k")
    look("shortcuts")
    page.keyboard.press("Escape")
    exam.pause()
    page.get_by_role("heading", name="paused").wait_for()
    look("paused")
    exam.resume()
    heading(page, 7).wait_for()
    page.keyboard.press("Alt+s")
    page.get_by_role("button", name="Submit the exam").click()
    page.locator(".receipt-code").wait_for()
    look("final")
    context.close()
    assert wrong == {}
