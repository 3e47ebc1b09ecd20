from __future__ import annotations

from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.twin.result_table import ResultTable


def sample_run(**changes: object) -> Run:
    fields: dict = {
        "twin": "two-sites",
        "twin_hash": "ab12",
        "scenarios": (
            ScenarioRecord("base"),
            ScenarioRecord(
                "quake",
                overrides={"supply.network.operations.rack.capacity": "10 rack/week"},
                disruptions=("close taiwan from 2026-09-01 for 90 day",),
            ),
        ),
        "seed": 7,
        "replications": 100,
        "engines": ("simulation",),
        "as_of": "2026-11-21",
    }
    return Run(**{**fields, **changes})


def sample_tables(racks: float = 100.0) -> list[ResultTable]:
    def summary(scenario: str, factor: float) -> ResultTable:
        return ResultTable(
            "supply_summary",
            {
                "scenario": [scenario] * 2,
                "kpi": ["delivered.racks", "duty"],
                "label": ["racks delivered", "duty paid"],
                "unit": ["rack", "USD"],
                "p10": [0.8 * racks * factor, 0.0],
                "p50": [racks * factor, 0.0],
                "p80": [1.1 * racks * factor, 0.0],
                "p90": [1.2 * racks * factor, 0.0],
                "mean": [racks * factor, 0.0],
            },
            description="Key figures; with 'quotes' and ümlauts.",
            keys=("scenario", "kpi"),
        )

    def goal(scenario: str, days: list[str], probability: float) -> ResultTable:
        named = dict(zip(("p10", "p50", "p80", "p90"), ([day] for day in days), strict=True))
        return ResultTable(
            "supply_goal_date",
            {"scenario": [scenario], "goal": ["us"], "title": ["Made in the US"],
             "target": [5e11], "unit": ["USD"], **named, "probability": [probability]},
            dict.fromkeys(named, "date"),
        )  # fmt: skip

    return [
        summary("base", 1.0),
        goal("base", ["2028-01-01", "2028-03-01", "2028-05-01", "2028-09-01"], 1.0),
        summary("quake", 0.75),
        goal("quake", ["2028-02-01", "2028-05-30", "2028-12-01", ""], 0.85),
    ]
