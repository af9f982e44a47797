"""The live committee page: figures that change by themselves, where they come from, and actions."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.dashboard_staff import People, confirm, only_by_socket, row_of
from tests.support.dashboard_world import RUNNING_SIZE, World
from tests.support.waiting import until

_LOOKS_LIKE_A_CODE = re.compile(r"^[A-Z0-9-]{8,}$")


class TestLive:
    def test_an_answer_shows_without_a_reload(self, people: People, world: World) -> None:
        page = people().live()
        only_by_socket(page)
        someone = world.running.participants[3]
        world.answer(someone, 7)
        expect(row_of(page, someone).locator(".bar-text")).to_have_text("7/60")
        world.answer(someone, 8)
        expect(row_of(page, someone).locator(".bar-text")).to_have_text("8/60")

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

    @pytest.mark.parametrize("width", [1280, 1366, 1920])
    def test_names_and_states_can_be_read_on_every_screen(
        self, people: People, world: World, width: int
    ) -> None:
        lost = world.running.participants[20]
        world.client.start(lost, 5, connection="disconnected")
        row = row_of(people(viewport={"width": width, "height": 860}).live(), lost)
        assert row.locator(".c-name").bounding_box()["width"] >= 130  # type: ignore[index]
        for cell in row.locator(".c-name, .c-state, .c-connection").all():
            assert cell.evaluate("it => it.scrollWidth <= it.clientWidth"), cell.inner_text()

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
        expect(row_of(page, someone).locator(".bar-text")).to_have_text("11/60")
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
        expect(row_of(page, lost)).to_contain_text("Person 21")

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
        assert _milliseconds_per_jump(shown) < 100  # drawing all rows takes several hundred


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
        expect(row_of(page, someone).locator(".c-left")).to_contain_text("1:2")

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


def _without_nulls(action: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in action.items() if value is not None}


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
