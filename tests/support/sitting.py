"""A participant's browser: the profile it runs in, and the steps that every test takes."""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, Locator, Page, expect


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


def start_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Start the exam")


def begin(page: Page) -> None:
    start_button(page).click()
    arrived(page, 1)


def arrived(page: Page, number: int) -> None:
    """The question is on the screen, and the keyboard's focus on its heading."""
    expect(heading(page, number)).to_be_focused()
    page.locator(".points").wait_for()


def heading(page: Page, number: int) -> Locator:
    return page.get_by_role("heading", name=f"Question {number} of 7")


def go_to(page: Page, number: int) -> None:
    page.get_by_role("button", name=f"Question {number},").click()
    arrived(page, number)


def shows_saved(page: Page) -> None:
    page.locator(".save[data-kind=saved]").wait_for()


def save_state(page: Page, text: str) -> Locator:
    """What the bar says about saving."""
    return page.locator(".save", has_text=text)


def message(page: Page, text: str) -> Locator:
    return page.locator(".message", has_text=text)
