"""Writes what the contract's model says for Kubernetes; `--check` only compares.

crds/examdelivery.yaml is the CRD for `kubectl apply`; the chart carries it once more as a template,
since Helm never upgrades a crds folder, and the admission policies beside it.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from exam_contract.admission_policies import admission_policies
from exam_contract.crd import custom_resource_definition

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "charts" / "medxamion" / "templates"
HEADER = "# Generated from exam_contract by scripts/generate_crd.py; edit the model instead.\n"
_LABELS = """\
  labels:
    {{- include "medxamion.labels" (dict "root" $ "name" "exam-deliveries") | nindent 4 }}
"""
_KEPT = "  annotations:\n    helm.sh/resource-policy: keep\n"


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def main(arguments: list[str]) -> int:
    drifted = False
    for path, text in documents().items():
        if arguments != ["--check"]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path.relative_to(ROOT)} has drifted: run `python scripts/generate_crd.py`")
            drifted = True
    return 1 if drifted else 0


def documents() -> dict[Path, str]:
    """Each generated file with its text."""
    definition = custom_resource_definition()
    policies = "---\n".join(_template(policy) for policy in admission_policies())
    return {
        ROOT / "crds" / "examdelivery.yaml": HEADER + _yaml(definition),
        TEMPLATES / "crd.yaml": _switched("crd.install", _template(definition, _KEPT)),
        TEMPLATES / "admission-policies.yaml": _switched("admissionPolicies.enabled", policies),
    }


def _switched(value: str, text: str) -> str:
    return f"{HEADER}{{{{- if .Values.{value} }}}}\n{text}{{{{- end }}}}\n"


def _template(manifest: dict[str, Any], notes: str = "") -> str:
    """The manifest for helm: with the chart's labels, and no braces that helm would expand."""
    text = _yaml(manifest).replace("{{", '{{ "{{" }}')
    name = f"metadata:\n  name: {manifest['metadata']['name']}\n"
    return text.replace(name, name + _LABELS + notes, 1)


def _yaml(manifest: dict[str, Any]) -> str:
    return yaml.dump(manifest, Dumper=_NoAliases, sort_keys=False, width=100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
