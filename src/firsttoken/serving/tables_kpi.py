"""What is told about services whose times come from tables of measured operators."""

from __future__ import annotations

from collections.abc import Sequence

from firsttoken.serving.kpi import MILLI, Kpis
from firsttoken.serving.plan import Layouts
from firsttoken.twin.result_table import ResultTable

UNITS = {"measured": "%", "tpot": "ms", "tpot_low": "ms", "tpot_high": "ms"}


def tables_tables(kpis: Kpis, layouts: Sequence[Layouts]) -> list[ResultTable]:
    """Source of the times of each service with tables, and how far off they may be; or nothing."""
    rows = kpis.rows(
        "serving_tables",
        "Services whose times come from tables of measured operators: package, entry, number "
        "formats by the package's names (products, experts, KV, attention of prompts), share of a "
        "step that was measured (formulas of the package are the rest), time per output token at "
        "the mean load with the 90 % interval of what tables missed measured points by, and speed "
        "over that of the physics.",
        ("service", "role"),
        *("source", "entry", "formats", "measured", "tpot_low", "tpot", "tpot_high", "speed"),
    )
    for service, both in zip(kpis.system.services, layouts, strict=True):
        for row, layout in zip((service.pool, service.prefill), both, strict=True):
            found = service.calibrated
            if row is None or row.tables is None or layout is None or found is None:
                continue
            grid, (value, low, high) = row.tables.grid(layout), found.tpot
            rows.add(
                scenario=kpis.scenario,
                factory=kpis.name,
                service=service.name,
                role=row.role,
                source=row.tables.source.origin,
                entry=row.tables.source.entry,
                formats=grid.modes,
                measured=100.0 * grid.measured,
                tpot_low=low * MILLI,
                tpot=value * MILLI,
                tpot_high=high * MILLI,
                speed=found.speed,
            )
    table = rows.table(UNITS)
    return [table] if len(table) else []
