"""Power quality as named tables: the utility's measures, what smoothing costs jobs, the spectrum.

Ramp, dynamic range and oscillation within a band of frequencies are the terms in which utilities
state what they allow (Choukse et al., Power Stabilization for AI Training Datacenters, 2025,
arXiv 2508.14318).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from firsttoken.facility.grid_measures import Measures
from firsttoken.facility.grid_quality import Floats, GridResult, GridSystem
from firsttoken.facility.slots import NONE
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

KWH: Final = 3.6e6


class _Measure(NamedTuple):
    """How one measure is told.

    Attributes
    ----------
    limit : field of the specification; empty: nothing limits it.
    size : SI units in one unit of the table.
    """

    label: str
    unit: str
    size: float
    limit: str


_MEASURES: Final = {
    "mean": _Measure("Power", "MW", 1e6, ""),
    "peak": _Measure("Highest power", "MW", 1e6, ""),
    "least": _Measure("Lowest power", "MW", 1e6, ""),
    "ramp": _Measure("Fastest ramp", "MW/s", 1e6, "ramp"),
    "range": _Measure("Dynamic range", "MW", 1e6, "range"),
    "oscillation": _Measure("Oscillation in the band", "MW", 1e6, "oscillation"),
    "line": _Measure("Largest line in the band", "MW", 1e6, ""),
    "frequency": _Measure("Frequency of that line", "Hz", 1.0, ""),
}
_BOOKS: Final = ("work", "burnt", "stored_first", "stored_last", "undone")


def grid_tables(scenario: str, system: GridSystem, found: GridResult) -> list[ResultTable]:
    """All tables of a site's power quality."""
    return [
        _summary(scenario, system, found),
        _jobs(scenario, system, found),
        _spectrum(scenario, system, found),
        _waveform(scenario, system, found),
    ]


def _rows(name: str, said: str, keys: tuple[str, ...], *columns: str) -> Rows:
    return Rows(name, said, ("scenario", "site", *keys), "scenario", "site", *keys, *columns)


def _summary(scenario: str, system: GridSystem, found: GridResult) -> ResultTable:
    rows = _rows(
        "facility_grid",
        "Measures of power at the point of connection, with storage and smoothing; what the jobs "
        "want is the median without. Within: share of replications within what is allowed.",
        ("measure",),
        *("label", "unit", *QUANTILES, "wanted", "allowed", "within", "sentence"),
    )
    for k, name in enumerate(Measures._fields):
        how = _MEASURES[name]
        given, wanted = found.measures[:, 1, k] / how.size, found.measures[:, 0, k] / how.size
        limit = _limit(system, found, how)
        allowed = np.full(len(given), np.nan) if limit is None else limit / how.size
        _add(rows, scenario, system, name, how, given, wanted, allowed)
    if system.specification["ramp"] != NONE:
        how = _Measure("Storage that would hold the ramp", "kWh", KWH, "")
        none = np.full(len(found.storage), np.nan)
        _add(rows, scenario, system, "ramp_storage", how, found.storage / KWH, none, none)
    return rows.table()


def _limit(system: GridSystem, found: GridResult, how: _Measure) -> Floats | None:
    """What is allowed in each replication, SI units; None: anything."""
    if not how.limit or system.specification[how.limit] == NONE:
        return None
    return found.allowed[how.limit]


def _add(
    rows: Rows,
    scenario: str,
    system: GridSystem,
    name: str,
    how: _Measure,
    given: Floats,
    wanted: Floats,
    allowed: Floats,
) -> None:
    limited = not np.isnan(allowed).all()
    within = float((given <= allowed * (1.0 + 1e-9)).mean()) if limited else float("nan")
    bound = float(np.median(allowed)) if limited else float("nan")
    rows.add(
        scenario=scenario,
        site=system.site,
        measure=name,
        label=how.label,
        unit=how.unit,
        **{key: float(value) for key, value in spread(given).items()},
        wanted=float(np.median(wanted)),
        allowed=bound,
        within=within,
        sentence=_sentence(how, given, wanted, bound, within) if limited else "",
    )


def _sentence(how: _Measure, given: Floats, wanted: Floats, allowed: float, within: float) -> str:
    """Whether a measure is within its limit, in a sentence."""
    unit, middle = how.unit, float(np.median(given))
    said = f"{how.label} {middle:.3g} {unit}, allowed {allowed:.3g} {unit}"
    before = float(np.median(wanted))
    if abs(before - middle) > 0.005 * abs(before):
        said += f" ({before:.3g} {unit} without storage and smoothing)"
    if within >= 1.0:
        return f"{said}: within"
    if within <= 0.0:
        return f"{said}: {middle / allowed:.3g} times as much as allowed"
    return f"{said}: within in {100.0 * within:.3g} % of the futures"


def _jobs(scenario: str, system: GridSystem, found: GridResult) -> ResultTable:
    rows = _rows(
        "facility_grid_jobs",
        "What smoothing does to each job and, in the last rows, what batteries do: energy of the "
        "work done, burnt to hold a floor or a ramp, and of work not done since power was capped.",
        ("job", "metric"),
        *("unit", *QUANTILES),
    )
    for j, name in enumerate((*system.names, "batteries") if system.batteries else system.names):
        books = dict(zip(_BOOKS, found.books[:, j].T, strict=True))
        asked = books["work"] + books["undone"]
        whole = np.where(asked > 0.0, asked, np.nan)
        metrics = [
            ("work", "MWh", books["work"] / 1e3 / KWH),
            ("burnt", "MWh", books["burnt"] / 1e3 / KWH),
            ("burnt_share", "%", 100.0 * books["burnt"] / whole),
            ("slowdown", "%", 100.0 * books["undone"] / whole),
        ]
        for metric, unit, samples in metrics:
            rows.add(
                scenario=scenario,
                site=system.site,
                job=name,
                metric=metric,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )
    return rows.table()


def _spectrum(scenario: str, system: GridSystem, found: GridResult) -> ResultTable:
    rows = _rows(
        "facility_grid_spectrum",
        "Oscillation of power within bands of frequency (root mean square, over replications).",
        ("low",),
        *("high", "wanted", "given"),
    )
    _extend(
        rows,
        scenario,
        system,
        low=found.frequency[:-1],
        high=found.frequency[1:],
        wanted=found.oscillation[0] / 1e3,
        given=found.oscillation[1] / 1e3,
    )
    return rows.table({"low": "Hz", "high": "Hz", "wanted": "kW", "given": "kW"})


def _waveform(scenario: str, system: GridSystem, found: GridResult) -> ResultTable:
    rows = _rows(
        "facility_grid_waveform",
        "Power of the first replication, sample by sample, from the beginning of the window.",
        ("seconds",),
        *("wanted", "given"),
    )
    _extend(
        rows,
        scenario,
        system,
        seconds=found.sample * np.arange(found.example.shape[1], dtype=np.float64),
        wanted=found.example[0] / 1e6,
        given=found.example[1] / 1e6,
    )
    return rows.table({"seconds": "s", "wanted": "MW", "given": "MW"})


def _extend(rows: Rows, scenario: str, system: GridSystem, **columns: Floats) -> None:
    count = len(next(iter(columns.values())))
    told: dict[str, Sequence[float] | Floats] = dict(columns)
    rows.extend(count, scenario=scenario, site=system.site, **told)
