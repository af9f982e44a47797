"""The participant page for everybody: names, contrast, targets, reflow, and text as text."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import accessibility
from tests.support.exam_hall import Seat
from tests.support.page_exam import MARKUP
from tests.support.sitting import begin, go_to, heading, message, start_button


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
