"""House rule: imports point downwards only, and cost nothing until used."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.sources import PACKAGE, ROOM_NAMES, ROOT, modules, name, tree

# A module may import from its own part and from those below. Rooms share a level and never
# import each other; they meet in `chain`.
LEVELS = {
    "kernel": 0,
    "twin": 1,
    **dict.fromkeys(ROOM_NAMES, 2),
    "chain": 3,
    "results": 4,
    "live": 5,
    "exchange": 5,
    "report": 5,
    "server": 6,
    "api": 6,
    "cli": 7,
}
HEAVY = ("numpy", "scipy", "numba", "highspy", "duckdb", "pint", "jinja2", "pydantic", "yaml")


def part_of(path: Path) -> str:
    """The part of the house that a module belongs to; the top-level modules are the CLI's."""
    inside = path.relative_to(PACKAGE).parts
    if len(inside) > 1:
        return inside[0]
    return "api" if inside[0] == "api.py" else "cli"


def imported_parts(path: Path) -> set[str]:
    """Parts of the house that a module imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for full in names:
            pieces = full.split(".")
            if pieces[0] == "firsttoken" and len(pieces) > 1:
                part = pieces[1]
                found.add("cli" if part.startswith("cli") or part == "__version__" else part)
    return found


def test_every_part_has_a_level() -> None:
    folders = {path.parent.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*/*.py")}
    assert folders - {"library", "examples"} <= set(LEVELS)


@pytest.mark.parametrize("path", modules(), ids=name)
def test_imports_point_downwards(path: Path) -> None:
    if path.parent == PACKAGE:
        return  # the exported names and the command line are the roof
    part = part_of(path)
    above = {
        other
        for other in imported_parts(path) - {part}
        if LEVELS.get(other, 99) >= LEVELS.get(part, -1)
    }
    assert not above, f"{name(path)} ({part}) imports {sorted(above)}, which is not below it"


def test_library_is_data_only() -> None:
    code = [name(path) for path in modules() if part_of(path) == "library" and tree(path).body[1:]]
    assert not code, f"the library holds data, not code: {code}"


def cpu_seconds(*arguments: str) -> float:
    """CPU time of a Python process, the smallest of five runs (the others had bad luck)."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "sys.stdout.write(str(used.ru_utime + used.ru_stime))\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COV")}
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", script, *arguments],
                cwd=ROOT,
                env=clean,
                capture_output=True,
                check=True,
                text=True,
            ).stdout
        )
        for _ in range(5)
    ]
    return min(times)


# The only two tests of the suite that look at a clock. CPU time, not wall time; measured
# 0.02 s and 0.13 s on a 2-core machine, so both have room for a machine half as fast.


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_import_costs_at_most_150_ms() -> None:
    assert cpu_seconds("-c", "import firsttoken") <= 0.150


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_help_costs_at_most_300_ms() -> None:
    assert cpu_seconds("-m", "firsttoken", "--help") <= 0.300


@pytest.mark.parametrize("command", ["import firsttoken", "import firsttoken.cli"])
def test_heavy_packages_are_imported_when_used(command: str) -> None:
    script = f"import sys; {command}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)
