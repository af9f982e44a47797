"""Who gets in and what they find: sign-in of staff and participants, navigation, every page."""

import pytest
from playwright.sync_api import Page, expect

from tests.support import accessibility
from tests.support.dashboard_staff import PHONE, People, Staff, menu_of
from tests.support.dashboard_world import PASSWORD, World


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
        assert menu_of(people(role).open("/")) == entries

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
