"""Before and after an exam: rosters, exams, staff, deliveries; results, scoring, receipt, audit."""

import json
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.support.dashboard_staff import People, confirm
from tests.support.dashboard_world import COMPLETE_SIZE, PASSWORD, World


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

    def test_a_page_is_of_use_while_its_list_is_on_its_way(self, people: People) -> None:
        staff, held = people(), list[Route]()
        staff.context.route("**/api/staff?*", lambda route: held.append(route))
        page = staff.open("/staff")
        page.get_by_role("button", name="New account").click()
        expect(page.get_by_role("dialog").get_by_label("User name")).to_be_visible()
        assert held, "the list was there already"
        for route in held:
            route.continue_()

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


def _choose(page: Page, name: str, content: str) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": content.encode()}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def _tampered(route: Any) -> None:
    reply = route.fetch()
    body = reply.json()
    body["manifest"]["payload"] = body["manifest"]["payload"].replace('"count":24', '"count":23')
    route.fulfill(response=reply, json=body)
