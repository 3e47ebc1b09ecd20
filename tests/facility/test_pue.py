"""PUE predicted from published descriptions, against the PUE that the sites publish.

The bar is 0.01 to 0.02 (Google's model, learned from a site's own data, reached 0.004: Gao, Machine
Learning Applications for Data Center Optimization, 2014).  `SOURCE` of each case says where its
numbers come from and what was assumed.  Pumps were declared anew after a first comparison, in which
one of three sites missed the bar: both declarations are run here.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path

import pytest

from firsttoken import api

CASES = Path(__file__).resolve().parents[1] / "known_answers"
NAMES = sorted(path.name for path in CASES.glob("pue_*"))
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def hourly(climate: Path, file: Path, year: str) -> None:
    """Hours between the normals of twelve months, with a daily swing, as a weather file."""
    with climate.open(newline="", encoding="utf-8") as stream:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    lines = ["time,dry_bulb,dew_point"]
    for month, days in enumerate(DAYS):
        for day in range(days):
            # normals stand for the middle of their month
            place = (day + 0.5) / days - 0.5
            other = rows[(month + (1 if place > 0 else -1)) % 12]
            here, weight = rows[month], abs(place)
            mixed = {k: here[k] + weight * (other[k] - here[k]) for k in here}
            for hour in range(24):
                swing = mixed["range"] / 2 * math.cos(2 * math.pi * (hour - 15) / 24)
                dry = mixed["dry_bulb"] + swing
                dew = min(mixed["dew_point"], dry)
                stamp = f"{year}-{month + 1:02d}-{day + 1:02d} {hour:02d}:00"
                lines.append(f"{stamp},{dry:.2f},{dew:.2f}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def predicted(name: str, folder: Path, file: str = "twin.yaml") -> float:
    """Annual PUE of a case."""
    twin = folder / "twin.yaml"
    shutil.copy(CASES / name / file, twin)
    start = next(line for line in twin.read_text().splitlines() if line.startswith("start:"))
    hourly(CASES / name / "climate.csv", folder / "weather.csv", start.split()[1][:4])
    run = api.run(twin, engines=("simulate",), out=folder / "run", report=False)
    with run.results as results:
        found = results.sql("select p50 from facility_summary where kpi = 'site.pue'")
    return float(found["p50"][0])


@pytest.mark.parametrize("name", NAMES)
def test_pue_is_that_which_the_site_publishes(name: str, tmp_path: Path) -> None:
    expected = json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))
    assert predicted(name, tmp_path) == pytest.approx(
        expected["published"], abs=expected["tolerance"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_pue_of_what_was_declared_first(name: str, tmp_path: Path) -> None:
    """With pumps rated for the installed capacity: too low, and LUMI outside of the bar."""
    expected = json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))
    found = predicted(name, tmp_path, "first.yaml")
    assert found == pytest.approx(expected["first"], abs=1e-3)
    assert (abs(found - expected["published"]) > 0.02) == (name == "pue_lumi")
