"""The shape of the tree that everything else relies on."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: list[dict[str, Any]] = PROJECT["tool"]["importlinter"]["contracts"]
PACKAGES: dict[str, Path] = {
    Path(package).name: ROOT / package
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
}


def test_the_operator_folder_is_no_package() -> None:
    """The standard library has a module `operator`: with __init__.py every `python -m` dies."""
    assert (ROOT / "operator" / "exam_operator" / "__init__.py").is_file()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_lock_that_records_download_addresses() -> None:
    assert not (ROOT / "uv.lock").exists()


def test_every_package_is_under_the_import_rules() -> None:
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == set(PACKAGES)


def test_every_package_of_the_tree_is_shipped() -> None:
    parents = [ROOT, ROOT / "operator"]
    found = {init.parent.name for parent in parents for init in parent.glob("*/__init__.py")}

    assert found - {"bench", "tests", "scripts"} == set(PACKAGES)


@pytest.mark.parametrize("package", ["exam_client", "coordinator", "exam_operator"])
def test_every_module_of_a_service_has_its_layer(package: str) -> None:
    """`exhaustive` makes the linter refuse a module that no layer names."""
    layered = [contract for contract in CONTRACTS if contract.get("containers") == [package]]

    assert [contract["exhaustive"] for contract in layered] == [True]


def test_every_core_is_kept_pure() -> None:
    cores = {
        ".".join((name, "core")) for name, folder in PACKAGES.items() if (folder / "core").is_dir()
    }
    pure = next(contract for contract in CONTRACTS if contract["id"] == "pure-core")

    assert cores | {"exam_contract"} == set(pure["source_modules"])
    assert all(core_rules(core).is_file() for core in cores)


def core_rules(core: str) -> Path:
    """The lint rules that take clocks and chance away from a core."""
    return PACKAGES[core.partition(".")[0]] / "core" / "ruff.toml"
