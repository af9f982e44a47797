"""The dashboard in a real Chromium over a real coordinator: each page, live figures, actions."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    WebSocketRoute,
    expect,
    sync_playwright,
)

from tests.support import accessibility, chromium, postgres
from tests.support.dashboard_world import (
    COMPLETE_SIZE,
    PASSWORD,
    RUNNING_SIZE,
    World,
    dashboard_world,
)
from tests.support.waiting import until

ROLES = ("admin", "committee", "invigilator", "scorer", "auditor")
PHONE = {"width": 400, "height": 900}


@pytest.fixture(scope="module")
def browser(chromium_path: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=list(chromium.ARGUMENTS)
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def world(pg_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("coordinator")
    with postgres.fresh_database(pg_server) as dsn, dashboard_world(dsn, folder) as world:
        for role in ROLES:
            world.account(role, (role, None))
        world.account("foreign", ("committee", "another-exam"))
        yield world


@pytest.fixture(scope="module")
def sessions(world: World, browser: Browser) -> dict[str, Any]:
    """Cookies of each role, from one sign-in each."""
    return {role: _sign_in(world, browser, role) for role in ROLES}


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


@pytest.fixture
def profiles(world: World, browser: Browser) -> Iterator[list[Staff]]:
    """Any script error, console error or violated content policy fails the test."""
    opened: list[Staff] = []
    yield opened
    for staff in opened:
        staff.context.close()
    assert [complaint for staff in opened for complaint in staff.complaints] == []


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
        context.set_default_timeout(8_000)
        self.opened.append(Staff(self.world, context))
        return self.opened[-1]


@pytest.fixture
def people(
    world: World, browser: Browser, sessions: dict[str, Any], profiles: list[Staff]
) -> People:
    return People(world, browser, sessions, profiles)


def _sign_in(world: World, browser: Browser, username: str) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{world.url}/sign-in")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{world.url}/")
    state = context.storage_state()
    context.close()
    return state


def row(page: Page, participant: int) -> Locator:
    return page.locator(f"#row-{participant}")


def only_by_socket(page: Page) -> None:
    """From now on the page can't ask for figures; it must be told."""
    page.route("**/live-progress", lambda route: route.abort())


def menu(page: Page) -> list[str]:
    return page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts()


def confirm(page: Page, button: str, **fields: str) -> None:
    """Fill in the open dialog and send it off."""
    dialog = page.get_by_role("dialog")
    for label, value in fields.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    dialog.get_by_role("button", name=button).click()


class TestSigningIn:
    def test_a_page_leads_to_sign_in_and_back(self, people: People, world: World) -> None:
        page = people("nobody").open("/exams")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{world.url}/exams")
        expect(page.get_by_role("heading", name="Exams", exact=True)).to_be_visible()

    def test_a_wrong_password_is_told_in_words(self, people: People) -> None:
        page = people("nobody").open("/sign-in")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")

    def test_signing_out_ends_the_session(self, people: People, world: World) -> None:
        world.account("leaver", ("admin", None))
        page = people("nobody").open("/sign-in")
        page.get_by_label("User name").fill("leaver")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{world.url}/sign-in")
        page.goto(f"{world.url}/staff")
        expect(page).to_have_url(f"{world.url}/sign-in?next=/staff")

    def test_the_first_admin_chooses_a_name_and_a_password(
        self, people: People, world: World
    ) -> None:
        token_file = world.rig.runtime.settings.first_admin_token_file
        assert token_file is not None
        page = people("nobody").open(f"/first-admin?token={token_file.read_text()}")
        expect(page).to_have_url(f"{world.url}/first-admin")
        page.get_by_label("User name").fill("first")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        page.wait_for_url(f"{world.url}/")
        expect(page.get_by_role("link", name="Staff")).to_be_visible()

    def test_a_participant_goes_to_the_exam_with_a_token(
        self, people: People, world: World
    ) -> None:
        page = people("nobody", viewport=PHONE).open(f"/sit/{world.running.id}")
        expect(page.get_by_role("heading")).to_have_text("Cardiology finals")
        page.route("http://127.0.0.1:9/**", lambda route: route.fulfill(body="the exam"))
        codes = world.running.roster["participants"][0]
        page.get_by_label("Identifier").fill(codes["identifier"])
        page.get_by_label("Access code").fill(f" {codes['access_code']} ")
        page.get_by_role("button", name="Go to the exam").click()
        page.wait_for_url("http://127.0.0.1:9/#token=*")

    def test_a_participant_with_a_wrong_code_is_told_in_words(
        self, people: People, world: World
    ) -> None:
        page = people("nobody").open(f"/sit/{world.running.id}")
        page.get_by_label("Identifier").fill("p2")
        page.get_by_label("Access code").fill("NOT-THE-CODE")
        page.get_by_role("button", name="Go to the exam").click()
        expect(page.get_by_role("alert")).to_contain_text("check both and try again")


class TestNavigation:
    @pytest.mark.parametrize(
        ("role", "entries"),
        [
            ("admin", ["Deliveries", "Exams", "Rosters", "Exam-clients", "Staff", "Audit"]),
            ("committee", ["Deliveries", "Exams", "Rosters", "Exam-clients"]),
            ("invigilator", ["Deliveries", "Exam-clients"]),
            ("scorer", ["Deliveries"]),
            ("auditor", ["Deliveries", "Exams", "Audit"]),
        ],
    )
    def test_it_holds_what_the_role_may_open(
        self, people: People, role: str, entries: list[str]
    ) -> None:
        assert menu(people(role).open("/")) == entries

    @pytest.mark.parametrize(
        ("role", "tabs"),
        [
            ("committee", ["Live", "Results"]),
            ("invigilator", ["Live"]),
            ("admin", ["Live", "Results", "Scoring"]),
        ],
    )
    def test_a_delivery_has_the_tabs_of_the_role(
        self, people: People, role: str, tabs: list[str]
    ) -> None:
        page = people(role).live()
        links = page.get_by_role("navigation", name="This delivery").get_by_role("link")
        assert links.all_inner_texts() == tabs

    def test_somebody_of_another_exam_sees_no_delivery(self, people: People, world: World) -> None:
        page = people("nobody").open("/sign-in")
        page.get_by_label("User name").fill("foreign")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("No deliveries yet")).to_be_visible()
        refused = page.goto(f"{world.url}/deliveries/{world.running.id}")
        assert refused is not None
        assert refused.status == 403

    @pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (400, "light")])
    def test_every_page_is_accessible(
        self, people: People, world: World, width: int, scheme: str
    ) -> None:
        staff = people(viewport={"width": width, "height": 900}, color_scheme=scheme)
        one = f"/deliveries/{world.complete.id}"
        paths = ["/", one, f"{one}/results", f"{one}/scoring"]
        paths += ["/exams", "/rosters", "/exam-clients", "/staff", "/audit"]
        wrong = {path: accessibility.findings(self._drawn(staff, path)) for path in paths}
        assert {path: found for path, found in wrong.items() if found} == {}

    @staticmethod
    def _drawn(staff: Staff, path: str) -> Page:
        page = staff.open(path)
        page.locator("tbody tr, .desk").locator("visible=true").first.wait_for()
        return page


class TestLive:
    def test_an_answer_shows_without_a_reload(self, people: People, world: World) -> None:
        page = people().live()
        only_by_socket(page)
        someone = world.running.participants[3]
        world.answer(someone, 7)
        expect(row(page, someone).locator(".bar-text")).to_have_text("7/60")
        world.answer(someone, 8)
        expect(row(page, someone).locator(".bar-text")).to_have_text("8/60")

    def test_the_source_is_told_when_the_exam_client_is_away(
        self, people: People, world: World
    ) -> None:
        page = people().live()
        expect(page.locator("#source")).to_contain_text("Live")
        world.client.down = True
        try:
            expect(page.locator("#source")).to_contain_text("Last known")
            expect(page.get_by_text("These figures are not live")).to_be_visible()
        finally:
            world.client.down = False
        expect(page.locator("#source")).to_contain_text("Live")
        expect(page.get_by_text("These figures are not live")).to_be_hidden()

    def test_a_lost_socket_comes_back_and_resumes(self, people: People, world: World) -> None:
        staff = people()
        sockets: list[WebSocketRoute] = []

        def relay(route: WebSocketRoute) -> None:
            route.connect_to_server()
            sockets.append(route)

        staff.context.route_web_socket("**/api/ws", relay)
        page = staff.live()
        only_by_socket(page)
        someone = world.running.participants[4]
        sockets[0].close(code=1012)
        world.answer(someone, 11)
        expect(row(page, someone).locator(".bar-text")).to_have_text("11/60")
        expect(page.locator("#socket")).to_have_text("Updates on")
        assert len(sockets) == 2

    def test_a_complete_delivery_says_that_it_is_history(
        self, people: People, world: World
    ) -> None:
        page = people().open(f"/deliveries/{world.complete.id}")
        expect(page.locator("#source")).to_have_text("Historical")
        for name in ("Finalise now", "Extra time", "Restart exam-client"):
            expect(page.get_by_role("button", name=name)).to_be_hidden()

    def test_issues_come_first_and_search_finds_a_name(self, people: People, world: World) -> None:
        lost = world.running.participants[20]
        world.client.start(lost, 5, connection="disconnected")
        page = people().live()
        first = page.locator("#grid tbody tr[data-index='0']")
        expect(first).to_contain_text("Disconnected")
        page.get_by_label("Search name or identifier").fill("person 21")
        expect(page.get_by_text(f"1 of {RUNNING_SIZE}")).to_be_visible()
        expect(row(page, lost)).to_contain_text("Person 21")

    def test_sorting_says_so_to_everybody(self, people: People) -> None:
        page = people().live()
        page.get_by_role("button", name="Identifier").click()
        header = page.get_by_role("columnheader", name="Identifier")
        expect(header).to_have_attribute("aria-sort", "ascending")
        expect(page.locator("#grid tbody tr[data-index='0'] .c-identifier")).to_have_text("p1")
        page.get_by_role("button", name="Identifier").click()
        expect(header).to_have_attribute("aria-sort", "descending")

    def test_three_thousand_rows_keep_the_document_small(
        self, people: People, world: World
    ) -> None:
        page = people()
        page.context.route("**/live-progress", lambda route: route.fulfill(json=_crowd(world)))
        page.context.route_web_socket("**/api/ws", lambda route: None)
        shown = page.open(f"/deliveries/{world.running.id}")
        expect(shown.get_by_text("3,000 of 3,000")).to_be_visible()
        assert shown.locator("#grid tbody tr").count() < 80
        shown.get_by_role("grid").focus()
        shown.keyboard.press("End")
        expect(shown.locator("#grid tr[data-active]")).to_have_attribute("aria-rowindex", "3001")
        assert _milliseconds_per_jump(shown) < 50


class TestActions:
    def test_extra_time_for_one_by_keyboard(self, people: People, world: World) -> None:
        someone = world.running.participants[6]
        world.client.start(someone, 9)
        page = people("invigilator").live()
        page.get_by_label("Search name or identifier").fill("Person 7")
        expect(page.get_by_text(f"1 of {RUNNING_SIZE}")).to_be_visible()
        page.get_by_role("grid").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Extra time").click()
        page.keyboard.press("Escape")
        expect(page.locator("#chosen")).to_have_text("1 participant selected")
        page.get_by_role("button", name="Extra time").click()
        confirm(page, "Extra time", Minutes="15", Reason="fire alarm in hall B")
        expect(page.get_by_text("15 min given to 1 participant.")).to_be_visible()
        action = world.client.actions[-1]
        assert (action["kind"], action["seconds"]) == ("grant_time", 900)
        assert action["participant_ids"] == [someone]
        expect(row(page, someone).locator(".c-left")).to_contain_text("1:2")

    def test_a_pause_for_everybody_needs_a_reason(self, people: People, world: World) -> None:
        before = len(world.client.actions)
        page = people().live()
        page.get_by_role("button", name="Pause", exact=True).click()
        confirm(page, "Pause")
        expect(page.get_by_role("dialog").get_by_label("Reason")).to_have_attribute(
            "aria-invalid", "true"
        )
        assert len(world.client.actions) == before
        confirm(page, "Pause", Reason="evacuation")
        left_out = page.get_by_role("dialog", name="left as they were")
        expect(left_out).to_contain_text("has not started")
        left_out.get_by_role("button", name="Close").click()
        assert "participant_ids" not in _without_nulls(world.client.actions[-1])
        page.get_by_role("button", name="Resume").click()
        confirm(page, "Resume", Reason="all clear")
        until(lambda: world.client.actions[-1]["kind"] == "resume", what="the resumption")

    def test_a_takeover_code_is_shown_once(self, people: People, world: World) -> None:
        page = people("invigilator").live()
        page.get_by_label("Search name or identifier").fill("p8")
        button = page.get_by_role("button", name="Takeover code")
        expect(button).to_be_disabled()
        page.get_by_role("grid").focus()
        page.keyboard.press("Space")
        button.click()
        confirm(page, "Takeover code", Reason="broken laptop")
        shown = page.get_by_role("dialog", name="Takeover code for Person 8")
        expect(shown.locator("output")).to_have_text(_LOOKS_LIKE_A_CODE)
        shown.get_by_role("button", name="Close").click()
        expect(page.locator("output")).to_have_count(0)

    def test_an_invigilator_is_offered_no_decision_of_the_committee(self, people: People) -> None:
        page = people("invigilator").live()
        expect(page.get_by_role("button", name="Extra time")).to_be_visible()
        for name in ("Force submit", "Reopen", "Finalise now", "Abort", "Restart exam-client"):
            expect(page.get_by_role("button", name=name)).to_be_hidden()

    def test_a_refusal_stays_in_the_dialog_in_words(self, people: People, world: World) -> None:
        page = people().live()
        page.get_by_role("button", name="Announce").click()
        world.client.down = True
        try:
            confirm(page, "Announce", Announcement="Ten minutes left", Reason="schedule")
            expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("exam-client")
        finally:
            world.client.down = False

    def test_an_abort_wants_the_name_typed(self, people: People, world: World) -> None:
        page = people("committee").live()
        page.get_by_role("button", name="Abort").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Reason").fill("wrong exam")
        dialog.get_by_label("Type delivery").fill("something else")
        dialog.get_by_role("button", name="Abort").click()
        expect(dialog.get_by_label("Type delivery")).to_have_attribute("aria-invalid", "true")
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_be_hidden()


class TestAfterwards:
    def test_results_show_scores_items_and_a_verified_receipt(
        self, people: People, world: World
    ) -> None:
        page = people("committee").open(f"/deliveries/{world.complete.id}/results")
        expect(page.locator("#receipt .chip")).to_have_text("✓ Verified")
        expect(page.get_by_role("img", name="Final scores")).to_be_visible()
        expect(page.locator("#items tbody tr")).to_have_count(4)
        expect(page.locator("#people tbody tr")).to_have_count(COMPLETE_SIZE)
        with page.expect_download() as download:
            page.get_by_role("link", name="Export CSV").click()
        lines = download.value.path().read_text().splitlines()
        assert len(lines) == 1 + 4 * COMPLETE_SIZE

    def test_a_changed_receipt_is_not_verified(self, people: People, world: World) -> None:
        staff = people("committee")
        staff.context.route("**/receipt", _tampered)
        page = staff.open(f"/deliveries/{world.complete.id}/results")
        expect(page.locator("#receipt .chip")).to_have_text("✕ Not verified")

    def test_scoring_goes_by_keyboard(self, people: People, world: World) -> None:
        page = people("scorer").open(f"/deliveries/{world.complete.id}/scoring")
        expect(page.locator("#progress")).to_have_text(f"0 of {COMPLETE_SIZE} answers scored")
        expect(page.get_by_text("One point per step")).to_be_visible()
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_have_text(f"1 of {COMPLETE_SIZE} answers scored")
        page.keyboard.press("9")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("from 0 to 4")
        page.get_by_label("Points from 0 to 4").fill("2,5")
        page.keyboard.press("Enter")
        expect(page.locator("#progress")).to_have_text(f"2 of {COMPLETE_SIZE} answers scored")
        page.get_by_role("button", name="Decided").click()
        expect(page.get_by_label("Points from 0 to 4")).to_have_value("3")

    def test_the_audit_chain_is_verified(self, people: People) -> None:
        page = people("auditor").open("/audit")
        newest = page.locator("tbody tr td").first
        expect(newest).not_to_have_text("1")
        page.get_by_role("button", name="Verify the chain").click()
        expect(page.get_by_text("The chain is whole")).to_be_visible()


class TestKeeping:
    def test_a_roster_is_checked_before_it_is_imported(self, people: People) -> None:
        page = people().open("/rosters")
        page.get_by_label("Name").fill("Winter")
        wrong = 'identifier,name,email\nw1,Ada,ada@example.org\n\nw2,"Bo, the 2nd",nowhere\n'
        _choose(page, "roster.csv", wrong)
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_role("alert")).to_contain_text("Row 4: email")
        _choose(page, "roster.csv", wrong.replace("nowhere", "bo@example.org"))
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_text("All 2 rows are fine. Nothing was imported yet.")).to_be_visible()
        expect(page.get_by_role("row", name="Winter")).to_have_count(0)
        page.get_by_role("button", name="Import").click()
        expect(page.locator(".strip")).to_have_count(2)
        expect(page.locator(".strip").last).to_contain_text("Bo, the 2nd")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download CSV").click()
        assert len(download.value.path().read_text().splitlines()) == 3

    def test_an_exam_file_that_is_wrong_names_the_place(self, people: People) -> None:
        page = people().open("/exams")
        _choose(page, "exam.json", json.dumps({"exam": {"id": "x"}, "key": []}))
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_role("alert")).to_contain_text("version")
        _choose(page, "exam.json", "{")
        page.get_by_role("button", name="Import").click()
        expect(page.get_by_role("alert")).to_contain_text("exam.json is no JSON")

    def test_an_account_is_made_and_loses_its_role(self, people: People) -> None:
        page = people().open("/staff")
        page.get_by_role("button", name="New account").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("User name").fill("newcomer")
        dialog.get_by_label("Name shown").fill("New Comer")
        dialog.get_by_label("First password").fill(PASSWORD)
        dialog.get_by_label("Role").select_option("scorer")
        dialog.get_by_role("button", name="Create account").click()
        entry = page.get_by_role("row", name="New Comer")
        expect(entry).to_contain_text("scorer: all exams")
        page.get_by_role("button", name="Roles: New Comer").click()
        confirm(page, "Save roles", Roles="invigilator cardiology")
        expect(entry).to_contain_text("invigilator: cardiology")

    def test_an_admin_makes_a_delivery(self, people: People) -> None:
        page = people().open("/")
        page.get_by_role("button", name="New delivery").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("cardiology-summer")
        dialog.get_by_label("Opens").fill("2031-05-01T09:00")
        dialog.get_by_label("Closes").fill("2031-05-01T08:00")
        dialog.get_by_role("button", name="Create delivery").click()
        expect(dialog.get_by_role("alert")).to_contain_text("must be before")
        dialog.get_by_label("Closes").fill("2031-05-01T12:00")
        dialog.get_by_role("button", name="Create delivery").click()
        expect(page.get_by_role("link", name="cardiology-summer")).to_be_visible()

    def test_exam_clients_are_listed_with_their_health(self, people: People, world: World) -> None:
        page = people("invigilator").open("/exam-clients")
        entry = page.get_by_role("row", name=world.running.registration()["name"])
        expect(entry).to_contain_text("Reachable")


_LOOKS_LIKE_A_CODE = re.compile(r"^[A-Z0-9-]{8,}$")


def _choose(page: Page, name: str, content: str) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": content.encode()}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def _without_nulls(action: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in action.items() if value is not None}


def _tampered(route: Any) -> None:
    reply = route.fetch()
    body = reply.json()
    body["manifest"]["payload"] = body["manifest"]["payload"].replace('"count":24', '"count":23')
    route.fulfill(response=reply, json=body)


def _crowd(world: World) -> dict[str, Any]:
    rows = [
        {**world.client.start(world.running.participants[0], number % 60), "participant_id": number}
        for number in range(1, 3001)
    ]
    rows = [{**row, "name": f"Person {row['participant_id']}", "unsynced": 0} for row in rows]
    live = {"delivery_id": world.running.id, "source": "live", "as_of": None, "stats": {}}
    return {**live, "participants": rows, "reason": None}


def _milliseconds_per_jump(page: Page) -> float:
    """How long a jump to other rows holds up the page: the median, as the machine is shared."""
    median: float = page.evaluate(
        """async () => {
          const grid = document.getElementById("grid");
          const taken = [];
          for (let at = 0; at < 41; at += 1) {
            const begun = performance.now();
            grid.scrollTop = at * 1500;
            grid.dispatchEvent(new Event("scroll"));
            grid.offsetHeight;
            taken.push(performance.now() - begun);
            await new Promise(requestAnimationFrame);
          }
          return taken.sort((a, b) => a - b)[20];
        }"""
    )
    return median
