"""Small declared lines for tests, and how to load and compile them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from firsttoken.chain.ports import Resolver
from firsttoken.line import model
from firsttoken.line.compile import compile_line
from firsttoken.line.system import System
from firsttoken.twin.findings import Findings
from firsttoken.twin.loading import apply_scenario, load_twin
from firsttoken.twin.room import Outcome, Room
from firsttoken.twin.twin import Twin

ROOM = Room(
    name="line",
    model=model.Line,
    check=lambda twin, name, findings: None,
    execute=lambda twin, name, resolve, settings: Outcome(()),
    ports=lambda instance: (),
)
"""The room without its checks: what `compile_line` alone makes of a line."""


def load(folder: Path, line: str | dict[str, Any], header: str = "", scenario: str = "") -> Twin:
    """A twin of one line, `line.x`, of ten days from Monday 2026-01-05.

    Parameters
    ----------
    line : its content in YAML or as data.
    header : more top-level keys in YAML.
    """
    data: dict[str, Any] = {"twin": "t", "start": "2026-01-05", "horizon": "10 day"}
    data.update(yaml.safe_load(header) or {})
    data["line"] = {"x": yaml.safe_load(line) if isinstance(line, str) else line}
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    findings = Findings()
    twin = load_twin(folder, {"line": ROOM}, findings)
    assert twin is not None, findings.as_text()
    return apply_scenario(twin, scenario) if scenario else twin


def compiled(
    folder: Path, line: str | dict[str, Any], header: str = "", scenario: str = ""
) -> System:
    """The compiled line of `load`."""
    twin = load(folder, line, header, scenario)
    return compile_line(twin, "x", Resolver(twin))
