"""Writes crds/examdelivery.yaml from the contract's model; `--check` only compares."""

import sys
from pathlib import Path
from typing import Any

import yaml

from exam_contract.crd import custom_resource_definition

CRD = Path(__file__).resolve().parent.parent / "crds" / "examdelivery.yaml"


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def main(arguments: list[str]) -> int:
    body = yaml.dump(custom_resource_definition(), Dumper=_NoAliases, sort_keys=False, width=100)
    text = (
        "# Generated from exam_contract by scripts/generate_crd.py; edit the model instead.\n"
        + body
    )
    if arguments != ["--check"]:
        CRD.parent.mkdir(exist_ok=True)
        CRD.write_text(text)
        return 0
    if not CRD.exists() or CRD.read_text() != text:
        print("crds/examdelivery.yaml has drifted: run `python scripts/generate_crd.py`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
