"""A small twin and ways to call the command line on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firsttoken.cli import app

TWIN = """\
twin: small
start: 2026-01-05
horizon: 26 week
replications: 20
supply:
  racks:
    home: [US]
    locations: {houston: {country: US}}
    items: {rack: {unit: rack, value: 3 MUSD}}
    operations:
      assemble:
        at: houston
        produces: {rack: 1}
        lead_time: triangular(1, 2, 5) week
        capacity: triangular(10, 20, 25) rack/week
    demands:
      cloud: {item: rack, location: houston, rate: 30 rack/week}
scenarios:
  half:
    overrides: {supply.racks.operations.assemble.capacity: 10 rack/week}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with `twin.yaml`."""
    (tmp_path / "twin.yaml").write_text(TWIN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    """Run the command in this process; a traceback would reach the test."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False, prog_name="firsttoken")
