"""The participant page in a real Chromium: sat by keyboard and by mouse, saved through faults."""

import json
import re

from playwright.sync_api import Dialog, Page, Route, expect

from exam_contract.control import Mode
from tests.support.exam_hall import Hall, Seat
from tests.support.sitting import (
    arrived,
    begin,
    go_to,
    message,
    save_state,
    shows_saved,
    start_button,
)
from tests.support.waiting import until


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
    dialog = page.get_by_role("dialog", name="Submit your exam?")
    expect(dialog).to_contain_text("4 of 7 questions have no answer")
    expect(dialog.get_by_role("heading")).to_have_text(
        ["Submit your exam?", "Without an answer (4)", "Flagged (1)"]
    )
    page.get_by_role("button", name="Go on answering").click()
    page.get_by_role("button", name="Question 2, answered, flagged").click()
    arrived(page, 2)
    page.get_by_role("button", name="Flagged", exact=True).click()
    page.get_by_role("button", name="Review and submit").first.click()
    expect(dialog.get_by_role("heading")).to_have_count(2)
    expect(dialog).not_to_contain_text("null")
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
    expect(save_state(page, "Offline: 2 answers wait on this device")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("A first line.")
    expect(save_state(page, "2 answers wait on this device")).to_be_visible()
    page.unroute("**/exam/answer*")
    shows_saved(page)
    assert exam.stored(page.context) == {"1": "B", "6": "A first line."}
    assert exam.revisions(page.context) == {"1": 1, "6": 1}


def test_what_waits_on_the_device_is_encrypted(page: Page) -> None:
    begin(page)
    page.route("**/exam/answer*", lambda route: route.abort())
    go_to(page, 5)
    page.get_by_label("Your answer (a few words)").fill("sinus arrhythmia")
    save_state(page, "1 answer waits on this device").wait_for()
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
    try:
        page.get_by_label("Transcutaneous pacing").check()
        page.keyboard.press("Alt+n")
        page.get_by_role("group", name="Atria").get_by_label("True").check()
        page.keyboard.press("Alt+n")
        page.get_by_label("Verapamil").check()
        page.get_by_label("Bisoprolol").check()
        expect(save_state(page, "Offline: 3 answers wait on this device")).to_be_visible()
    finally:
        hall.rig.client.start()
    shows_saved(page)
    assert exam.stored(page.context) == {"1": "B", "2": {"A": True}, "3": ["A", "D"]}
    written = exam.revisions(page.context)
    assert (written["1"], written["2"]) == (2, 1)
    assert written["3"] in (1, 2), "the second tick may have found the first one still unsent"


def test_answers_given_while_the_exam_client_is_fenced_are_saved_when_it_goes_on(
    page: Page, exam: Seat, hall: Hall
) -> None:
    begin(page)
    client, bundle = hall.rig.client, hall.rig.bundle
    assert client.desire(Mode.RUN, bundle, fenced=True).status_code == 200
    try:
        page.get_by_label("Adenosine").check()
        expect(save_state(page, "Offline: 1 answer waits on this device")).to_be_visible()
    finally:
        client.desire(Mode.RUN, bundle)
    shows_saved(page)
    assert exam.stored(page.context) == {"1": "A"}


def test_a_lost_reply_is_asked_for_again_with_the_same_command(page: Page, exam: Seat) -> None:
    begin(page)
    commands: list[str] = []

    def lose_once(route: Route) -> None:
        commands.append(json.loads(route.request.post_data or "{}")["command_id"])
        if len(commands) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

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
    until(lambda: exam.stored(page.context) == {"6": "x" * 60})
    assert exam.revisions(page.context)["6"] >= 2, "the first of them while it was typed"


def test_an_answer_stored_elsewhere_is_shown_and_said(page: Page, exam: Seat) -> None:
    begin(page)
    page.route("**/exam/progress", lambda route: route.abort())
    exam.write(page.context, 1, "D")
    page.get_by_label("Transcutaneous pacing").click()  # and not check: it may be undone at once
    expect(message(page, "Question 1 now shows the answer that is stored")).to_be_visible()
    expect(page.get_by_label("Observation")).to_be_checked()
    page.get_by_role("button", name="Use my answer").click()
    until(lambda: exam.stored(page.context) == {"1": "B"})
    expect(page.get_by_label("Transcutaneous pacing")).to_be_checked()


def test_leaving_with_unsaved_answers_asks_first(page: Page) -> None:
    begin(page)
    page.route("**/exam/answer*", lambda route: route.abort())
    page.get_by_label("Transcutaneous pacing").check()
    save_state(page, "1 answer waits on this device").wait_for()
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    page.reload()
    assert asked == ["beforeunload"]
