"""What the operator's bench found, as JSON and Markdown in the folder of ``MEDXAMION_PROOF``."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.report import Measure, promised, spoken, with_unit
from exam_contract.version import VERSION

_NAME = "scale"
_OPENING = """# The operator at scale

Made by `make bench-cluster` on {made_on} (version {version}, {cores} cores; load average
{load_before} before it, {load_after} at its end); also in [scale.json](scale.json).

A real API server with etcd, a pretended kubelet, pretended exam-clients and the operator share the
cores. What each of them used stands beside the figure, and `others` had no part in it. Where
nothing is left of the cores, a figure says how big the machine is; milliseconds a delivery say what
the operator takes.

| measured | value | promised | | note |
|---|---|---|---|---|
"""
_MET = {True: "met", False: "**missed**", None: ""}


def write(folder: Path, measures: list[Measure], load_before: float) -> None:
    """``scale.json`` and ``scale.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {
        "made_on": datetime.now(UTC).strftime("%Y-%m-%d"),
        "version": VERSION,
        "cores": os.cpu_count(),
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
    }
    figures = {"measures": [spoken(measure) for measure in measures]}
    text = json.dumps(about | figures, indent=2) + "\n"
    (folder / f"{_NAME}.json").write_text(text, "utf-8")
    page = _OPENING.format_map(about) + "".join(_row(measure) for measure in measures)
    (folder / f"{_NAME}.md").write_text(page, "utf-8")


def _row(one: Measure) -> str:
    cells = (one.what, with_unit(one.value, one.unit), promised(one), _MET[one.met], one.note)
    return f"| {' | '.join(cells)} |\n"
