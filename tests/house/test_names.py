"""House rule: the exported names are few and change only on purpose."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from tests.house.sources import PACKAGE, tree

import firsttoken

EXPORTED = [
    "FirsttokenError",
    "InfeasibleError",
    "Results",
    "Run",
    "Scenario",
    "Twin",
    "TwinError",
    "check",
    "load",
    "run",
]
COMMANDS = ["check", "compare", "explain", "plan", "report", "run", "schema", "simulate"]


def test_exported_names_are_these_and_no_others() -> None:
    assert firsttoken.__all__ == EXPORTED


@pytest.mark.parametrize("name", [*EXPORTED, "__version__"])
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(firsttoken, name) is not None
    assert name in dir(firsttoken)


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    shown = {
        alias.name: node.module
        for node in ast.walk(tree(PACKAGE / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("firsttoken.")
        for alias in node.names
    }
    assert shown == firsttoken._MODULES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        firsttoken.simulat  # noqa: B018


def test_commands_are_these_and_no_others() -> None:
    script = (
        "import typer.main, firsttoken.cli as c;"
        "print(*sorted(typer.main.get_command(c.app).commands))"
    )
    listed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert listed.stdout.split() == COMMANDS
