"""From simulated arrays to named tables with units: what runs a site, by year, period and hour.

All quantiles are over replications.  Energies are in MWh, powers in MW, water in m3 and L.
PUE is the site's energy over that of IT (ISO/IEC 30134-2), WUE water in L per kWh of IT (30134-9),
CUE carbon in kg per kWh of IT (30134-8).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility import model
from firsttoken.facility import simulate_state as of
from firsttoken.facility.result import SiteResult
from firsttoken.facility.system import System
from firsttoken.twin.dates import iso, period_label
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

Floats = NDArray[np.float64]

HOUR: Final = 3600.0
KWH: Final = 3.6e6
MWH: Final = 3.6e9
YEAR: Final = 365.25 * 86400.0
_LITTLE: Final = 1e-9

Figure = tuple[str, str, str, Floats]
"""(kpi, label, unit, one number a replication)."""


def ratio(part: Floats, whole: Floats) -> Floats:
    """Part over whole, NaN where there is no whole."""
    out: Floats = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > _LITTLE)
    return out


class Kpis:
    """What the tables of one simulated site have in common.

    Parameters
    ----------
    scenario : name that goes into the first column.
    prefix : what stands before labels, so that sites of one twin can be told apart.

    Attributes
    ----------
    total : counts of the whole time, [R, COUNTS].
    years : time simulated, in years.
    charge : demand charges, USD, [R].
    """

    def __init__(
        self,
        scenario: str,
        site: model.Facility,
        compiled: System,
        simulated: SiteResult,
        prefix: str = "",
    ) -> None:
        self.scenario, self.site, self.prefix = scenario, site, prefix
        self.system, self.result, self.name = compiled, simulated, compiled.names.site
        self.total = totals(simulated.period)
        self.years = simulated.time / YEAR
        self.charge = simulated.month.sum(axis=1) * self._charges()

    def _charges(self) -> Floats:
        """Demand charge of each replication, USD/W a month, [R]."""
        from firsttoken.kernel.parameters import draw_replications

        count = len(self.result.month)
        table = self.system.parameters
        drawn = np.empty((count, len(table.code)))
        draw_replications(table, self.result.seed, 0, drawn)
        found: Floats = drawn[:, self.system.demand_charge]
        return found

    def rows(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> Rows:
        """Rows of a table that begins with the scenario and the site."""
        return Rows(
            name, description, ("scenario", "site", *keys), "scenario", "site", *keys, *columns
        )


def totals(period: Floats) -> Floats:
    """Counts [..., COUNTS] of all report periods [..., B, COUNTS] together."""
    found = period.sum(axis=-2)
    found[..., of.HIGHEST :] = period[..., of.HIGHEST :].max(axis=-2)
    return np.asarray(found)


def summary_table(kpis: Kpis) -> ResultTable:
    """Headline figures of the whole time."""
    rows = Rows(
        "facility_summary",
        "Headline figures of each site over the whole time.",
        ("scenario", "kpi"),
        *("scenario", "site", "kpi", "label", "unit", *QUANTILES),
    )
    for kpi, label, unit, samples in _figures(kpis):
        rows.add(
            scenario=kpis.scenario,
            site=kpis.name,
            kpi=f"{kpis.name}.{kpi}",
            label=kpis.prefix + label,
            unit=unit,
            **{key: float(value) for key, value in spread(samples).items()},
        )
    return rows.table()


def _figures(kpis: Kpis) -> Iterator[Figure]:
    found = kpis.total
    it = found[:, of.IT]
    yield "pue", "PUE", "", ratio(found[:, of.INPUT], it)
    if found[:, of.WATER].any():
        yield "wue", "WUE", "L/kWh", ratio(found[:, of.WATER], it / KWH)
    if found[:, of.CARBON].any():
        yield "cue", "CUE", "kg/kWh", ratio(found[:, of.CARBON], it / KWH)
    yield "it_energy", "energy of IT", "MWh", it / MWH
    yield "energy", "energy taken", "MWh", found[:, of.INPUT] / MWH
    if found[:, of.GENERATOR].any():
        yield "generated", "energy from generators", "MWh", found[:, of.GENERATOR] / MWH
    yield "peak_power", "highest power", "MW", found[:, of.PEAK] / 1e6
    yield "peak_it", "highest power of IT", "MW", found[:, of.PEAK_IT] / 1e6
    yield from _cooling_figures(kpis, found)
    yield from _rack_figures(kpis, found)
    if found[:, of.CARBON].any():
        yield "carbon", "carbon of the energy", "t", found[:, of.CARBON] / 1e3
    if found[:, of.COST].any() or kpis.charge.any():
        yield "cost", "cost of energy and water", "USD", found[:, of.COST] + kpis.charge
    if kpis.charge.any():
        yield "demand_charges", "of it demand charges", "USD", kpis.charge


def _cooling_figures(kpis: Kpis, found: Floats) -> Iterator[Figure]:
    if not len(kpis.system.cooling):
        return
    if found[:, of.WATER].any():
        yield "water", "water taken", "m**3", found[:, of.WATER] / 1e3
        yield "peak_water", "highest flow of water", "L/s", found[:, of.PEAK_WATER]
    share = ratio(found[:, of.FREE], found[:, of.RUNNING])
    yield "free_cooling", "hours without chillers", "%", 100.0 * share
    warmest = found[:, of.WARMEST]
    if warmest.any():
        yield "warmest_supply", "warmest supply of racks", "degC", warmest - 273.15
    if kpis.system.water_limit >= 0:
        hours = found[:, of.OVER_WATER] / HOUR
        yield "over_water", "hours above the limit of water", "hour", hours


def _rack_figures(kpis: Kpis, found: Floats) -> Iterator[Figure]:
    if not kpis.system.racks:
        return
    installed = found[:, of.INSTALLED]
    available = ratio(found[:, of.AVAILABLE], installed)
    yield "availability", "racks with supply, of those installed", "%", 100.0 * available
    yield "throttled", "throttled rack-hours", "rack*hour", found[:, of.THROTTLED] / HOUR
    # a difference of sums: below a second of a rack it is their rounding
    lost = np.where(np.abs(found[:, of.LOST]) < 1.0, 0.0, found[:, of.LOST])
    yield "lost", "rack-hours of work lost", "rack*hour", lost / HOUR
    if found[:, of.GPUS].any():
        yield "gpus", "GPUs with supply, mean", "gpu", found[:, of.GPUS] / found[:, of.SECONDS]
    if found[:, of.UNSERVED].any():
        yield "unserved", "energy not supplied", "MWh", found[:, of.UNSERVED] / MWH
    if found[:, of.OVERLOADED].any():
        overloaded = found[:, of.OVERLOADED] / HOUR
        yield "overloaded", "hours with overloaded equipment", "hour", overloaded


def period_table(kpis: Kpis) -> ResultTable:
    """Figures by report period."""
    rows = kpis.rows(
        "facility_period",
        "Figures of each site by report period.",
        ("period", "metric"),
        *("label", "unit", *QUANTILES),
    )
    start = kpis.system.start
    begins = kpis.system.edges[:-1]
    labels = [period_label(edge + start, kpis.site.report) for edge in begins]
    periods = [iso(edge + start) for edge in begins] if kpis.site.report != "hour" else labels
    found = kpis.result.period
    keep = found[0, :, of.SECONDS] > 0 if len(found) else np.ones(len(begins), bool)
    for metric, unit, samples in _by_period(kpis, found):
        rows.extend(
            int(keep.sum()),
            scenario=kpis.scenario,
            site=kpis.name,
            period=[name for name, kept in zip(periods, keep, strict=True) if kept],
            metric=metric,
            label=[label for label, kept in zip(labels, keep, strict=True) if kept],
            unit=unit,
            **spread(samples[:, keep]),
        )
    return rows.table()


def _by_period(kpis: Kpis, found: Floats) -> Iterator[tuple[str, str, Floats]]:
    """(metric, unit, [R, B])."""
    it, seconds = found[..., of.IT], found[..., of.SECONDS]
    yield "pue", "", ratio(found[..., of.INPUT], it)
    yield "power", "MW", ratio(found[..., of.INPUT], seconds) / 1e6
    yield "it_power", "MW", ratio(it, seconds) / 1e6
    yield "peak_power", "MW", found[..., of.PEAK] / 1e6
    yield "energy", "MWh", found[..., of.INPUT] / MWH
    yield "losses", "MWh", found[..., of.LOSS] / MWH
    yield "cooling", "MWh", found[..., of.MOTORS] / MWH
    yield "racks", "rack", ratio(found[..., of.AVAILABLE], seconds)
    yield "throttled", "rack*hour", found[..., of.THROTTLED] / HOUR
    yield "lost", "rack*hour", found[..., of.LOST] / HOUR
    if len(kpis.system.cooling):
        yield "free_cooling", "%", 100.0 * ratio(found[..., of.FREE], found[..., of.RUNNING])
        warmest = found[..., of.WARMEST]
        yield "warmest_supply", "degC", np.where(warmest > 0, warmest - 273.15, np.nan)
    if found[..., of.OVERHEAD].any():
        yield "overheads", "MWh", found[..., of.OVERHEAD] / MWH
    if found[..., of.WATER].any():
        yield "wue", "L/kWh", ratio(found[..., of.WATER], it / KWH)
        yield "water", "m**3", found[..., of.WATER] / 1e3
        yield "peak_water", "L/s", found[..., of.PEAK_WATER]
    if found[..., of.CARBON].any():
        yield "cue", "kg/kWh", ratio(found[..., of.CARBON], it / KWH)
        yield "carbon", "t", found[..., of.CARBON] / 1e3
    if found[..., of.COST].any():
        yield "cost", "USD", found[..., of.COST]


def hour_table(kpis: Kpis) -> ResultTable:
    """PUE, WUE, CUE and power by hour of the day."""
    rows = kpis.rows(
        "facility_hour",
        "Figures of each site by hour of the day, over all days.",
        ("hour", "metric"),
        *("unit", *QUANTILES),
    )
    found = dict(zip(of.BY_HOUR, np.moveaxis(kpis.result.hour, -1, 0), strict=True))
    it, seconds = found[of.IT], found[of.SECONDS]
    metrics = [
        ("pue", "", ratio(found[of.INPUT], it)),
        ("power", "MW", ratio(found[of.INPUT], seconds) / 1e6),
        ("it_power", "MW", ratio(it, seconds) / 1e6),
        ("cooling", "MW", ratio(found[of.MOTORS], seconds) / 1e6),
        ("wue", "L/kWh", ratio(found[of.WATER], it / KWH)),
        ("cue", "kg/kWh", ratio(found[of.CARBON], it / KWH)),
    ]
    for metric, unit, samples in metrics:
        known = np.flatnonzero(seconds[0] > 0)
        rows.extend(
            len(known),
            scenario=kpis.scenario,
            site=kpis.name,
            hour=known,
            metric=metric,
            unit=unit,
            **spread(samples[:, known]),
        )
    return rows.table()
