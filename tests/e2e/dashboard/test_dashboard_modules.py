"""The dashboard's pure modules, run in the browser they are written for, without any server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, sync_playwright

from coordinator.dashboard import routes
from exam_contract.progress import AttemptState, Connection
from tests.support import chromium

SITE = "http://modules.test"
SCRIPTS = Path(routes.__file__).parent / "static" / "js"
AT = "2026-01-15T10:30:00Z"


@pytest.fixture(scope="module")
def page(chromium_path: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path, args=list(chromium.ARGUMENTS)
        )
        page = browser.new_page()
        page.route(f"{SITE}/**", _serve)
        page.goto(f"{SITE}/")
        yield page
        browser.close()


def _serve(route: Route) -> None:
    name = route.request.url.removeprefix(f"{SITE}/")
    if name == "":
        route.fulfill(body="<!doctype html>", content_type="text/html")
    else:
        route.fulfill(body=(SCRIPTS / name).read_text(), content_type="text/javascript")


def run(page: Page, module: str, body: str, given: Any = None) -> Any:
    """Evaluates `body` with the module as `m` and the argument as `given`."""
    return page.evaluate(
        f"async (given) => {{ const m = await import('/{module}.js'); {body} }}", given
    )


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "participant_id": number,
        "name": f"Person {number}",
        "identifier": f"p{number}",
        "state": "in_progress",
        "connection": "online",
        "started_at": AT,
        "deadline": "2026-01-15T12:00:00Z",
        "last_save": AT,
        "last_activity": AT,
        "unsynced": 0,
        "final_score": None,
        "progress": {"questions_answered": 5, "total_questions": 60, "current_score": 80},
        **changes,
    }


class TestCohort:
    def test_an_older_reply_does_not_undo_a_newer_event(self, page: Page) -> None:
        newer = row(last_activity="2026-01-15T10:31:00Z", name=None, unsynced=0)
        newer["progress"] = {**newer["progress"], "questions_answered": 6}
        given = {"old": row(unsynced=2, connection="idle"), "new": newer}
        merged = run(
            page,
            "cohort",
            """const cohort = new m.Cohort();
            cohort.replace({participants: [given.old]}, 1);
            const event = {event_type: "answer_submitted"};
            cohort.apply({stream: 2, event, participant: given.new});
            cohort.merge({participants: [given.old]});
            return cohort.get(1);""",
            given,
        )
        assert merged["progress"]["questions_answered"] == 6
        assert (merged["name"], merged["unsynced"]) == ("Person 1", 2)

    def test_what_needs_attention_comes_first(self, page: Page) -> None:
        rows = [
            row(1, state="submitted", connection="disconnected"),
            row(2),
            row(3, last_save="2026-01-15T10:00:00Z"),
            row(4, unsynced=3),
            row(5, connection="disconnected"),
        ]
        ordered = run(
            page,
            "cohort",
            """const wanted = {filter: "all", search: "", sort: "issues", descending: false};
            return m.view(given, wanted, Date.parse("2026-01-15T10:31:00Z"))
                .map((one) => one.participant_id);""",
            rows,
        )
        assert ordered == [5, 4, 3, 2, 1]

    def test_a_pause_keeps_what_was_left(self, page: Page) -> None:
        paused = row(state="paused", progress={**row()["progress"], "time_remaining": 900})
        assert run(page, "cohort", "return m.secondsLeft(given, 0);", paused) == 900


class TestCsv:
    @pytest.mark.parametrize(
        ("text", "rows"),
        [
            ("a,b\r\n1,2\r\n", [[1, ["a", "b"]], [2, ["1", "2"]]]),
            ('\ufeffa\n"x, ""y""\nz"\nlast', [[1, ["a"]], [2, ['x, "y"\nz']], [4, ["last"]]]),
            ("a\n\n  \nß µ→", [[1, ["a"]], [4, ["ß µ→"]]]),
        ],
    )
    def test_it_reads_what_spreadsheets_write(self, page: Page, text: str, rows: Any) -> None:
        body = "return m.parseCsv(given).map((one) => [one.line, one.fields]);"
        assert run(page, "csv", body, text) == rows

    def test_an_open_quote_is_named_by_its_line(self, page: Page) -> None:
        body = "try { m.parseCsv(given); } catch (error) { return error.message; }"
        assert "line 2" in run(page, "csv", body, 'a\n"open\nand on')


class TestFormat:
    @pytest.mark.parametrize(
        ("seconds", "words"), [(0, "0:00"), (185, "3:05"), (5025, "1:23:45"), (None, "–")]
    )
    def test_durations(self, page: Page, seconds: int | None, words: str) -> None:
        assert run(page, "format", "return m.duration(given);", seconds) == words

    @pytest.mark.parametrize(("rational", "words"), [("7/2", "3.5"), ("4", "4"), ("2/3", "0.67")])
    def test_points(self, page: Page, rational: str, words: str) -> None:
        assert run(page, "format", "return m.points(given);", rational) == words

    @pytest.mark.parametrize(
        ("text", "rational"),
        [("2.5", "5/2"), ("1,25", "5/4"), ("0.50", "1/2"), ("2.0", "2"), ("0", "0"), ("5/4", "5/4"),
         ("much", "much"), ("1.23456", "1.23456")],
    )  # fmt: skip
    def test_decimals_travel_as_fractions_in_lowest_terms(
        self, page: Page, text: str, rational: str
    ) -> None:
        assert run(page, "format", "return m.fraction(given);", text) == rational

    def test_every_state_of_the_contract_has_words(self, page: Page) -> None:
        known = run(page, "format", "return [Object.keys(m.STATES), Object.keys(m.CONNECTIONS)];")
        assert known == [[state.value for state in AttemptState], [c.value for c in Connection]]


class TestBackOff:
    def test_it_spreads_out_and_stays_bounded(self, page: Page) -> None:
        body = "return [0, 3, 30].map((attempt) => m.backoffSeconds(attempt, given));"
        assert run(page, "live", body, 1.0) == [0.5, 4, 20]
        assert run(page, "live", body, 0.0) == [0, 0, 0]
