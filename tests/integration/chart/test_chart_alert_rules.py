"""Every alert of the chart fires when it should, and is silent a moment before."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RULES = sorted((ROOT / "charts" / "medxamion" / "rules").glob("*.yaml"))
CASES = Path(__file__).parent / "rules"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = subprocess.run(
        [ROOT / "scripts" / "promtool.sh"], check=True, stdout=subprocess.PIPE, text=True
    )
    return found.stdout.strip()


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_the_alerts_behave_as_their_cases_say(promtool: str, rules: Path) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", str(CASES / rules.name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("rules", RULES, ids=lambda path: path.stem)
def test_every_alert_is_seen_firing_and_silent(rules: Path) -> None:
    cases = yaml.safe_load((CASES / rules.name).read_text("utf-8"))
    checks: list[dict[str, Any]] = [
        check for case in cases["tests"] for check in case["alert_rule_test"]
    ]
    alerts = {rule["alert"] for rule in _rules(rules)}

    assert {check["alertname"] for check in checks if check["exp_alerts"]} == alerts
    assert {check["alertname"] for check in checks if not check["exp_alerts"]} == alerts


def _rules(path: Path) -> list[dict[str, Any]]:
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]
