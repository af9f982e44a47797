"""The page's pure modules, tried one rule at a time in the browser that runs them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from exam_client.api.pages import folder

Run = Callable[[str, str], Any]
ORIGIN = "http://page.test"


@pytest.fixture(scope="module")
def run(browser: Browser) -> Iterator[Run]:
    """Runs a function body with a module's exports as ``m``, and returns what it returns."""
    page = browser.new_page()

    def serve(route: Route) -> None:
        path = folder() / route.request.url.removeprefix(f"{ORIGIN}/")
        if path.suffix == ".js":
            route.fulfill(path=path, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>modules</title>", content_type="text/html")

    page.route(f"{ORIGIN}/**", serve)
    page.goto(f"{ORIGIN}/empty")
    yield lambda module, body: page.evaluate(
        f"async () => {{ const m = await import('/{module}.js'); {body} }}"
    )
    page.close()


# Time


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(4_985_000, "1:23:05"), (65_000, "1:05"), (59_001, "1:00"), (1, "0:01"), (-5, "0:00")],
)
def test_a_countdown_rounds_up_so_that_zero_is_the_end(
    run: Run, milliseconds: int, shown: str
) -> None:
    assert run("clock", f"return m.countdown({milliseconds})") == shown


@pytest.mark.parametrize(
    ("seconds", "warning"),
    [(601, None), (600, 600), (301, 600), (300, 300), (60, 60), (1, 60), (0, None)],
)
def test_warnings_come_at_ten_five_and_one_minute(
    run: Run, seconds: int, warning: int | None
) -> None:
    assert run("clock", f"return m.warningAt({seconds} * 1000)") == warning


def test_the_clock_counts_by_itself_and_prefers_replies_that_travelled_shortly(run: Run) -> None:
    body = """
      let now = 1000;
      const clock = new m.Clock(() => now);
      const unknown = clock.until("2026-01-15T10:00:10Z");
      clock.sync("2026-01-15T10:00:00Z", 900, 1000);     // the server's time at 950
      clock.sync("2026-01-15T10:59:00Z", 1000, 9000);    // travelled for seconds: says little
      now = 2950;
      return [unknown, clock.until("2026-01-15T10:00:10Z")];
    """
    assert run("clock", body) == [None, 8000]


def test_the_wait_between_tries_grows_and_is_drawn_at_random(run: Run) -> None:
    body = "return [0, 3, 30].map((tries) => m.backoff(tries, () => 1))"
    assert run("api", body) == [300, 2400, 8000]
    assert run("api", "return m.backoff(9, () => 0)") == 0


def test_whatever_the_server_decides_is_asked_for_every_two_seconds(run: Run) -> None:
    assert run("session", "return m.HEARTBEAT_MS") <= 2000


# Queue

VAULT = """
  const held = new Map();
  const vault = { put: async (id, entry) => held.set(id, structuredClone(entry)),
                  remove: async (id) => held.delete(id) };
  const queue = new m.Queue(vault);
"""


def test_an_unsent_edit_is_replaced_and_a_sent_one_is_not(run: Run) -> None:
    body = """
      await queue.add(1, "A", 0);
      await queue.add(1, "B", 0);
      const [first] = await queue.next();
      await queue.add(1, "C", 0);
      await queue.add(1, "D", 0);
      const again = await queue.next();
      return [first.answer, again.length, again[0].command_id === first.command_id,
              queue.entries.map((entry) => [entry.answer, entry.base_revision])];
    """
    assert run("queue", VAULT + body) == ["B", 1, True, [["B", 0], ["D", None]]]


def test_the_next_edit_builds_on_the_outcome_of_the_one_before(run: Run) -> None:
    body = """
      await queue.add(1, "A", 4);
      const [first] = await queue.next();
      await queue.add(1, "B", 4);
      await queue.settle(first, 7);
      const [second] = await queue.next();
      return [first.base_revision, second.base_revision, held.get(second.seq).base_revision];
    """
    assert run("queue", VAULT + body) == [4, 7, 7]


def test_a_batch_holds_one_edit_per_question_in_order(run: Run) -> None:
    body = """
      for (const id of [3, 1, 2]) await queue.add(id, "A", 0);
      await queue.next();
      await queue.add(3, "B", 0);
      return (await queue.next()).map((entry) => entry.question_id);
    """
    assert run("queue", VAULT + body) == [3, 1, 2]


def test_a_reloaded_queue_goes_on_with_the_same_commands(run: Run) -> None:
    body = """
      await queue.add(1, "A", 0);
      await queue.next();
      await queue.add(2, "B", 3);
      const again = new m.Queue(vault, [...held, ["notes", {}]]);
      await again.add(3, "C", 0);
      const commands = (of) => of.entries.slice(0, 2).map((entry) => entry.command_id).join();
      return [commands(again) === commands(queue), again.entries.map((entry) => entry.seq)];
    """
    assert run("queue", VAULT + body) == [True, [1, 2, 3]]


# What an outcome means


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ({"revision": 1}, "saved"),
        ({"code": "revision_conflict", "status": 409}, "conflict"),
        ({"code": "deadline_passed", "status": 409}, "late"),
        ({"code": "attempt_paused", "status": 409}, "again"),
        ({"code": "delivery_frozen", "status": 409}, "again"),
        ({"code": "storage_full", "status": 507}, "again"),
        ({"code": "fenced", "status": 409}, "again"),
        ({"code": "not_ready", "status": 503}, "again"),
        ({"code": "too_many_attempts", "status": 429}, "again"),
        ({"code": "session_ended", "status": 401}, "session"),
        ({"code": "answer_invalid", "status": 422}, "refused"),
    ],
)
def test_every_outcome_of_an_answer_has_one_meaning(
    run: Run, outcome: dict[str, Any], verdict: str
) -> None:
    assert run("sender", f"return m.verdict({outcome!r})") == verdict


# State

SITTING = """
  const start = { state: "in_progress", deadline: "2026-01-15T11:00:00Z", deadline_version: 2,
    exam: { navigation: "free" }, sections: [{ items: [1, 2] }, { items: [3, 4] }] };
  const after = (...events) => [{ type: "started", start }, ...events].reduce(m.reduce, m.INITIAL);
  const same = { state: "in_progress", deadline_version: 2 };
  const beat = (more) => ({ type: "progress", reply: { ...same, ...more } });
"""


def test_an_older_deadline_never_undoes_a_newer_one(run: Run) -> None:
    body = """
      const late = { state: "in_progress", deadline: "2026-01-15T10:00:00Z", deadline_version: 1 };
      return after({ type: "attempt", reply: late }).attempt.deadline;
    """
    assert run("state", SITTING + body) == "2026-01-15T11:00:00Z"


def test_a_closed_attempt_opens_again_only_with_a_newer_version(run: Run) -> None:
    body = """
      const closed = beat({ state: "submitted" });
      const reopened = beat({ state: "in_progress", deadline_version: 3 });
      return [after(closed, beat({})), after(closed, reopened)].map(m.screenOf);
    """
    assert run("state", SITTING + body) == ["final", "exam"]


def test_what_the_server_holds_never_overwrites_what_is_on_its_way(run: Run) -> None:
    body = """
      const edited = { type: "edited", id: 1, answer: "mine" };
      const waiting = { type: "waiting", ids: new Set([1]), drafts: new Set() };
      const heard = beat({ answers: { 1: { answer: "old", revision: 3, saved_at: "x" },
                                      2: { answer: "B", revision: 1, saved_at: "y" } } });
      const state = after(edited, waiting, heard);
      return [m.answerOf(state, 1), m.answerOf(state, 2)];
    """
    assert run("state", SITTING + body) == ["mine", "B"]


@pytest.mark.parametrize(
    ("rule", "here", "reachable"),
    [("free", 2, [1, 3, 4]), ("linear", 2, [3]), ("section_locked", 2, [1, 3]), ("linear", 4, [])],
)
def test_the_navigation_rule_decides_where_one_may_go(
    run: Run, rule: str, here: int, reachable: list[int]
) -> None:
    body = f"""
      start.exam.navigation = "{rule}";
      const state = after({{ type: "went", id: {here} }});
      return state.order.filter((id) => m.mayGo(state, id));
    """
    assert run("state", SITTING + body) == reachable


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        ("null", False),
        ("''", False),
        ("[]", False),
        ("({})", False),
        ("'0'", True),
        ("['A']", True),
    ],
)
def test_an_empty_answer_is_no_answer(run: Run, answer: str, counts: bool) -> None:
    assert run("state", f"return m.isAnswer({answer})") is counts


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ("", "none"),
        ("{type: 'waiting', ids: new Set([1]), drafts: new Set()}", "saving"),
        ("{type: 'waiting', ids: new Set(), drafts: new Set([1])}", "saving"),
        ("{type: 'link', link: 'offline'}", "offline"),
        ("beat({answers: {1: {answer: 'A', revision: 1, saved_at: 'x'}}})", "saved"),
    ],
)
def test_the_save_state_says_the_worst_that_is_true(run: Run, events: str, kind: str) -> None:
    assert run("state", SITTING + f"return m.saveStatus(after({events})).kind") == kind
