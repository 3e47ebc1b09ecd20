"""A made-up run with the tables of the supply room, for tests of the report only.

Its numbers are drawn at random: they say nothing about the real programme.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.results.store import Results, write_run
from firsttoken.twin.result_table import ResultTable

REPLICATIONS = 400
QUARTERS = [f"{year}Q{q}" for year in range(2025, 2030) for q in range(1, 5)]
PERIODS = [f"{year}-{3 * q - 2:02d}-01" for year in range(2025, 2030) for q in range(1, 5)]
STAGES = {
    "wafer fab": ("wafer", 30.0),
    "hbm": ("stack", 5500.0),
    "cowos packaging": ("package", 620.0),
    "compute tray": ("tray", 160.0),
    "rack assembly & test": ("rack", 8.4),
}
SCENARIOS = {
    "base": (1.0, 0.0, "Today's facts and announced plans."),
    "taiwan-packaging-closed-90d": (0.86, 1.5, "CoWoS in Taiwan shut for 90 days."),
    "quake-2024": (0.97, 0.2, "The quake of April 2024 once more."),
    "tariff-25": (0.95, 0.0, "A duty of 25 % on all servers that cross the border."),
    "labour-shortage": (0.9, 0.5, "A fifth of the rack plants' people are missing."),
    "amkor-slips-12m": (0.93, 0.9, "Peoria a year later."),
    "as-known-2025-03": (0.7, -0.4, "What was known before the announcement."),
}
_P = ("p10", "p50", "p80", "p90")


def _spread(samples: np.ndarray) -> dict[str, float]:
    found = np.quantile(samples, (0.1, 0.5, 0.8, 0.9), axis=0)
    return {**dict(zip(_P, map(float, found), strict=True)), "mean": float(samples.mean())}


def _table(name: str, rows: list[dict], units: dict[str, str] | None = None) -> ResultTable:
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return ResultTable(name, columns, units or {}, f"Made-up rows of {name}.")


def _racks(scenario: str) -> np.ndarray:
    """Racks in thousands by replication and quarter."""
    factor, delay, _ = SCENARIOS[scenario]
    random = np.random.default_rng(7)
    quarter = np.arange(len(QUARTERS))
    middle = 1.5 + 2 * random.normal(0, 0.35, (REPLICATIONS, 1))
    top = 27 * np.exp(random.normal(0, 0.22, (REPLICATIONS, 1)))
    wave = top / (1 + np.exp(-(quarter - 7.5 - delay - middle * 0.6) / 2.6))
    return factor * wave * np.exp(random.normal(0, 0.06, wave.shape)) * 1000


def _stage_rows(scenario: str, racks: np.ndarray) -> list[dict]:
    rows = []
    for stage, (unit, ratio) in STAGES.items():
        for engine in ("simulation", "plan"):
            for q, label in enumerate(QUARTERS):
                samples = racks[:, q] * ratio / 8.4
                found = _spread(samples)
                if engine == "plan":
                    found = dict.fromkeys(found, found["p80"])
                rows.append(
                    {"scenario": scenario, "engine": engine, "stage": stage, "period": PERIODS[q],
                     "label": label, "metric": "completed", "unit": unit, **found}
                )  # fmt: skip
    return rows


def _goal_rows(scenario: str, racks: np.ndarray) -> tuple[list[dict], list[dict], np.ndarray]:
    value = np.cumsum(racks * 0.55 * 3.4e6, axis=1)
    fixed = {"scenario": scenario, "goal": "us_500bn", "target": 5e11, "unit": "USD",
             "title": "US$500 billion of AI infrastructure made in the US"}  # fmt: skip
    rows = [
        {**fixed, "period": PERIODS[q], "label": QUARTERS[q], **_spread(value[:, q])}
        for q in range(len(QUARTERS))
    ]
    reached = np.array([np.argmax(v >= 5e11) if v[-1] >= 5e11 else 99 for v in value])
    ordered = np.sort(reached)
    days = {}
    for name, p in zip(_P, (0.1, 0.5, 0.8, 0.9), strict=True):
        index = int(ordered[int(p * (len(ordered) - 1))])
        days[name] = "" if index >= len(PERIODS) else PERIODS[index][:8] + "14"
    date = {**fixed, **days, "probability": float((reached < 99).mean())}
    return rows, [date], value


def _summary_rows(scenario: str, racks: np.ndarray, value: np.ndarray) -> list[dict]:
    figures = [
        ("goal.us_500bn.value", "made in the US by the end", "USD", value[:, -1]),
        ("delivered.racks", "us_racks: delivered", "rack", racks.sum(axis=1)),
        ("duty", "duty paid", "USD", racks.sum(axis=1) * (9e4 + 4e5 * (scenario == "tariff-25"))),
        ("home.share", "made in US", "", np.clip(0.3 + racks[:, -1] / 1e5, 0, 0.9)),
    ]
    for y in range(5):
        total = racks[:, 4 * y : 4 * y + 4].sum(axis=1)
        stage = "rack assembly & test"
        figures.append(
            (f"completed.{stage}.{2025 + y}", f"{stage}: completed in {2025 + y}", "rack", total)
        )
    return [
        {"scenario": scenario, "kpi": kpi, "label": label, "unit": unit, **_spread(samples)}
        for kpi, label, unit, samples in figures
    ]


def _demand_rows(scenario: str, racks: np.ndarray) -> list[dict]:
    rows = []
    for q, label in enumerate(QUARTERS):
        share = np.clip(0.06 + 0.025 * q + racks[:, q] / 2.5e5, 0, 0.95)
        rows.append(
            {"scenario": scenario, "engine": "simulation", "demand": "us_racks",
             "item": "rack_gb300", "period": PERIODS[q], "label": label, "metric": "home_share",
             "unit": "1", **_spread(share)}
        )  # fmt: skip
    return rows


def _binding_rows(scenario: str) -> list[dict]:
    random = np.random.default_rng(3)
    rows = []
    for s, stage in enumerate(STAGES):
        for q, label in enumerate(QUARTERS):
            peak = {0: 17, 1: 11, 2: 4, 3: 30, 4: 7}[s]
            share = 0.92 * np.exp(-(((q - peak) / 3.2) ** 2)) * random.uniform(0.8, 1)
            resource = 0.2 * share if s == 4 else 0.0
            for limit, part in (
                ("capacity", share - resource), ("resource", resource),
                ("material", (1 - share) * 0.7), ("policy", 0.0),
            ):  # fmt: skip
                rows.append(
                    {"scenario": scenario, "engine": "simulation", "stage": stage,
                     "period": PERIODS[q], "label": label, "share": float(part), "limit": limit}
                )  # fmt: skip
    return rows


def _marginal_rows(scenario: str) -> list[dict]:
    capacities = [
        ("cowos_l_taiwan", "cowos packaging", "tsmc_taiwan", 35000, "wafer/month", 1000, 190),
        ("amkor_peoria", "cowos packaging", "amkor_peoria", 4000, "wafer/month", 1000, 170),
        ("hbm_sk_hynix", "hbm", "icheon_korea", 2.1e6, "stack/month", 10000, 16),
        ("rack_houston", "rack assembly & test", "houston", 220, "rack/week", 10, 120),
        ("rack_dallas", "rack assembly & test", "dallas", 140, "rack/week", 10, 96),
        ("wafer_4np_arizona", "wafer fab", "tsmc_arizona", 12000, "wafer/month", 1000, 64),
        ("test_power_houston", "rack assembly & test", "houston", 20, "MW", 1, 31),
    ]
    rows = []
    for i, (name, stage, place, capacity, unit, step, gain) in enumerate(capacities):
        for q in range(3 + i, 12):
            units = gain * np.exp(-abs(q - 5 - i) / 2)
            rows.append(
                {"scenario": scenario, "kind": "resource", "name": name, "stage": stage,
                 "location": place, "period": PERIODS[q], "label": QUARTERS[q],
                 "capacity": float(capacity), "capacity_unit": unit, "step": float(step),
                 "marginal_units": float(units), "item_unit": "rack",
                 "marginal_usd": float(units * 3.4e6),
                 "sentence": f"{QUARTERS[q]}: {name} at {place} binds; +{step:,} {unit} = "
                 f"+{units:.0f} racks, which the plan would deliver to us_racks."}
            )  # fmt: skip
    return rows


def _tornado_rows(scenario: str) -> list[dict]:
    parameters = [
        ("cowos.nvda.2026", "420", "595", "k wafer/year", 0.16),
        ("operations.package_cowos_l.yield", "0.885", "0.958", "", 0.085),
        ("operations.rack_houston.start", "2026-02-10", "2026-11-04", "date", -0.07),
        ("operations.package_amkor.start", "2027-10-01", "2028-12-20", "date", -0.05),
        ("b200.die_yield", "0.64", "0.81", "", 0.04),
        ("operations.rack_houston.capacity", "150", "400", "rack/week", 0.035),
        ("lanes.taiwan_us.lead_time", "1.2", "3.8", "week", -0.012),
        ("hbm.lead_time", "16", "27", "week", -0.02),
    ]
    rows = []
    for output, unit, mean in (("racks delivered", "rack", 2.9e5),
                               ("Value made in the US at the end", "USD", 5.4e11)):  # fmt: skip
        for name, low, high, input_unit, effect in parameters:
            rows.append(
                {"scenario": scenario, "output": output, "output_unit": unit, "parameter": name,
                 "path": f"supply.network.{name}", "low_input": low, "high_input": high,
                 "input_unit": input_unit, "low_mean": mean * (1 - effect),
                 "high_mean": mean * (1 + effect * 0.8), "correlation": effect * 4,
                 "source": "semimedia 19561 (Morgan Stanley); DIGITIMES 2025-06"}
            )  # fmt: skip
    return rows


def _flow_rows(scenario: str) -> list[dict]:
    links = [
        ("wafer_4np @ tsmc_arizona", "package_cowos_l @ tsmc_taiwan", "die_b300", 9e6, 290),
        ("wafer_4np @ tsmc_arizona", "package @ amkor_peoria", "die_b300", 4e6, 290),
        ("wafer_4np @ tsmc_taiwan", "package_cowos_l @ tsmc_taiwan", "die_b300", 2.4e7, 290),
        ("hbm3e @ icheon_korea", "package_cowos_l @ tsmc_taiwan", "hbm3e_12h", 1.1e8, 360),
        ("hbm3e @ micron_us", "package @ amkor_peoria", "hbm3e_12h", 3.2e7, 360),
        ("package_cowos_l @ tsmc_taiwan", "tray @ foxconn_mexico", "package_b300", 9e6, 30e3),
        ("package_cowos_l @ tsmc_taiwan", "tray @ foxconn_houston", "package_b300", 7e6, 30e3),
        ("package @ amkor_peoria", "tray @ foxconn_houston", "package_b300", 4e6, 30e3),
        ("tray @ foxconn_mexico", "rack @ houston", "tray_gb300", 1.1e6, 140e3),
        ("tray @ foxconn_mexico", "rack @ taiwan", "tray_gb300", 1.1e6, 140e3),
        ("tray @ foxconn_houston", "rack @ houston", "tray_gb300", 1.6e6, 140e3),
        ("tray @ foxconn_houston", "rack @ dallas", "tray_gb300", 1.2e6, 140e3),
        ("power_shelf @ delta_texas", "rack @ houston", "power_shelf", 1.2e6, 9e3),
        ("liquid_cooling @ foxconn_wisconsin", "rack @ dallas", "cdu_kit", 7e4, 110e3),
        ("rack @ houston", "us_racks", "rack_gb300", 1.5e5, 3.4e6),
        ("rack @ dallas", "us_racks", "rack_gb300", 7e4, 3.4e6),
        ("rack @ taiwan", "us_racks", "rack_gb300", 6e4, 3.4e6),
    ]
    stage = {"wafer": "wafer fab", "hbm": "hbm", "package": "cowos packaging",
             "tray": "compute tray", "rack": "rack assembly & test"}  # fmt: skip

    def stage_of(node: str) -> str:
        head = node.split("_")[0].split(" ")[0].removesuffix("3e")
        return stage.get(head, head)

    units = {"die_b300": "die", "hbm3e_12h": "stack", "package_b300": "package",
             "tray_gb300": "tray", "rack_gb300": "rack"}  # fmt: skip
    return [
        {"scenario": scenario, "engine": "simulation", "year": "all", "source_node": a,
         "target_node": b, "item": item, "stage_from": stage_of(a), "stage_to": stage_of(b),
         "quantity": n, "unit": units.get(item, "each"), "value_usd": n * price}
        for a, b, item, n, price in links
    ]  # fmt: skip


def _observation_rows(scenario: str, racks: np.ndarray) -> list[dict]:
    rows = []
    for q, observed in enumerate((1000.0, 4300.0, 8500.0, 14300.0)):
        band = _spread(racks[:, q + 3] * 1.2)
        inside = band["p10"] <= observed <= band["p90"]
        rows.append(
            {"scenario": scenario, "observation": "racks_2025", "title": "NVL72 racks shipped",
             "period": PERIODS[q], "label": QUARTERS[q], "unit": "rack",
             "observed_low": observed * 0.88, "observed": observed, "observed_high": observed * 1.1,
             "p10": band["p10"], "p50": band["p50"], "p90": band["p90"], "inside": inside,
             "as_of": "", "verdict": "inside P10-P90" if inside else "12% above P90"}
        )  # fmt: skip
    return rows


def _input_rows(scenario: str) -> list[dict]:
    early = scenario == "as-known-2025-03"
    facts = [
        ("supply.network.operations.package_cowos_l.yield", "", 0.88, 0.94, 0.97, "", "2025-06-01",
         "C", "siliconanalysts.com", ""),
        ("supply.network.cowos.nvda.2026", "cowos.nvda.2026", 400 if early else 510, 595, 595,
         "k wafer/year", "2025-07-10", "B", "semimedia 19561 (Morgan Stanley); DIGITIMES supply",
         "510 k at TSMC, about 80 k at Amkor and ASE; 5.4 M chips of which 2.4 M Rubin"),
        ("supply.network.operations.rack_houston.start", "", 0, 0, 0, "date", "2025-04-14", "A",
         "NVIDIA announcement 2025-04-14", "mass production 12-15 months after the announcement"),
        ("supply.network.b200.die_yield", "b200.die_yield", 0.6, 0.75, 0.85, "", "2025-01-01", "D",
         "okx H200 arithmetic <85 %>", "assumption; keep wide"),
        ("supply.network.lanes.taiwan_us.lead_time", "", 1, 2, 4, "week", "2025-01-01", "B",
         "https://example.org/freight", ""),
        ("supply.network.goals.us_500bn.target", "", 5e11, 5e11, 5e11, "USD", "2025-04-14", "A",
         "NVIDIA announcement 2025-04-14", ""),
    ]  # fmt: skip
    names = ("path", "fact", "low", "value", "high", "unit", "known_from", "confidence", "source",
             "note")  # fmt: skip
    rows = []
    for fact in facts:
        row = dict(zip(names, fact, strict=True))
        for key in ("low", "value", "high"):
            row[key] = float(row[key])
        was = "450 k wafer/year, known from 2024-11-02 (redplanx)" if row["fact"] else ""
        rows.append({"scenario": scenario, **row, "superseded": was})
    return rows


def synthetic_tables() -> list[ResultTable]:
    """The tables of every scenario, one after the other."""
    tables = []
    for scenario in SCENARIOS:
        racks = _racks(scenario)
        goal, date, value = _goal_rows(scenario, racks)
        tables += [
            _table("supply_summary", _summary_rows(scenario, racks, value)),
            _table("supply_stage", _stage_rows(scenario, racks)),
            _table("supply_demand", _demand_rows(scenario, racks)),
            _table("supply_goal", goal),
            _table("supply_goal_date", date, dict.fromkeys(_P, "date")),
            _table("supply_binding", _binding_rows(scenario)),
            _table("supply_marginal", _marginal_rows(scenario)),
            _table("supply_tornado", _tornado_rows(scenario)),
            _table("supply_flow", _flow_rows(scenario)),
            _table("supply_observation", _observation_rows(scenario, racks)),
            _table("supply_inputs", _input_rows(scenario)),
        ]
    return tables


def synthetic_run() -> Run:
    """The record that goes with the tables."""
    records = tuple(
        ScenarioRecord(
            name,
            description,
            disruptions=("close tsmc_taiwan from 2026-09-01 for 90 day",) if "90d" in name else (),
            overrides={"tariffs.servers.rate": "25 %"} if "tariff" in name else {},
            as_of="2025-03-31" if "known" in name else "",
        )
        for name, (_, _, description) in SCENARIOS.items()
    )
    return Run(
        twin="made-up-programme",
        title="A made-up programme: AI racks made in the US",
        description="Numbers drawn at random to test the report. They describe nothing real.",
        twin_hash="5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de5f1c0de55",
        scenarios=records,
        seed=1,
        replications=REPLICATIONS,
        engines=("plan", "simulation"),
        as_of="2026-11-21",
        start="2025-01-01",
        end="2029-12-31",
        cpu_s=41.2,
        wall_s=23.9,
    )


def write_synthetic(folder: Path) -> Results:
    """Write the made-up run."""
    return write_run(folder, synthetic_run(), synthetic_tables())
