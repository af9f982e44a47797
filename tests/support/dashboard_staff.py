"""Staff at the dashboard: signed-in browser profiles, and what they do on more than one page."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.dashboard_world import World

ROLES = ("admin", "committee", "invigilator", "scorer", "auditor")
PHONE = {"width": 400, "height": 900}


@dataclass
class Staff:
    """A signed-in browser profile that hears what its pages complain about."""

    world: World
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.goto(self.world.url + path)
        return page

    def live(self) -> Page:
        page = self.open(f"/deliveries/{self.world.running.id}")
        expect(page.locator("#socket")).to_have_text("Updates on")
        return page

    def _hear(self, kind: str, text: str) -> None:
        # Chromium reports each refused request by itself; those are what some tests make happen.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)


@dataclass
class People:
    """Opens profiles by role; ``nobody`` has no session."""

    world: World
    browser: Browser
    sessions: dict[str, Any]
    opened: list[Staff]

    def __call__(self, role: str = "admin", **options: Any) -> Staff:
        state = None if role == "nobody" else self.sessions[role]
        viewport = {"width": 1440, "height": 900}
        context = self.browser.new_context(
            **{"viewport": viewport, "storage_state": state, "locale": "en-GB", **options}
        )
        self.opened.append(Staff(self.world, context))
        return self.opened[-1]


def row_of(page: Page, participant: int) -> Locator:
    return page.locator(f"#row-{participant}")


def only_by_socket(page: Page) -> None:
    """From now on the page can't ask for figures; it must be told."""
    page.route("**/live-progress", lambda route: route.abort())


def menu_of(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts()


def confirm(page: Page, button: str, **fields: str) -> None:
    """Fill in the open dialog and send it off."""
    dialog = page.get_by_role("dialog")
    for label, value in fields.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    dialog.get_by_role("button", name=button).click()
