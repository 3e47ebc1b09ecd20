"""The hand-written parts of the reference name everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.house.sources import PACKAGE, ROOMS, ROOT, text

import firsttoken
from firsttoken.cli_errors import EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_TERMINATED
from firsttoken.twin import findings
from firsttoken.twin.families import FAMILIES
from firsttoken.twin.scenario import KINDS
from firsttoken.twin.units import COUNT_UNITS

DOCS = ROOT / "docs"
RESULT_TABLE = re.compile(rf'"((?:{"|".join(ROOMS)})_[a-z_]+)"')


def page(name: str) -> str:
    return text(DOCS / name)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_distribution_is_on_the_values_page(family: str) -> None:
    assert f"`{family}(" in page("reference/values.md")


def test_every_counted_unit_is_on_the_values_page() -> None:
    shown = set(re.findall(r"`([a-z]+)`", page("reference/values.md")))
    assert set(COUNT_UNITS) <= shown


@pytest.mark.parametrize("kind", KINDS)
def test_every_disruption_is_on_the_scenarios_page(kind: str) -> None:
    assert f"| `{kind}` |" in page("how-to/scenarios.md")


@pytest.mark.parametrize("name", firsttoken.__all__)
def test_every_exported_name_is_on_the_python_page(name: str) -> None:
    assert re.search(rf"^\| `{name}[`(]", page("reference/python.md"), re.M)


def test_every_exit_status_is_on_the_command_line_page() -> None:
    statuses = {value for name, value in vars(findings).items() if name.startswith("EXIT_")}
    statuses |= {EXIT_DEFECT, EXIT_INTERRUPTED, EXIT_TERMINATED}
    table = page("reference/command-line.md").partition("## firsttoken")[0]
    assert {str(status) for status in statuses} <= set(re.findall(r"\b\d+\b", table))


def test_every_result_table_is_on_the_results_page() -> None:
    named: set[str] = set()
    for room in ROOMS:
        for path in sorted((PACKAGE / room).glob("*.py")):
            named |= set(RESULT_TABLE.findall(text(path)))
    assert len(named) > 5
    missing = {name for name in named if f"`{name}`" not in page("reference/results.md")}
    assert not missing


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([a-z-]+/[a-z0-9-]+)$", page("index.md"), re.M))
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix()
        for path in DOCS.glob("*/*.md")
        if "_build" not in path.parts
    }
    assert listed == pages


def test_relative_links_between_papers_lead_somewhere() -> None:
    for file in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text(ROOT / file)):
            assert (ROOT / Path(target)).exists(), f"{file} links to {target}"
