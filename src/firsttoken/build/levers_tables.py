"""What drives a programme, and what a change is worth, as tables and in sentences."""

from __future__ import annotations

import math

from firsttoken.build.kpi import Kpis
from firsttoken.build.levers import Lever
from firsttoken.twin.result_table import ResultTable

_NOTABLE = 0.05
"""Days: a smaller gain is not told."""


def binding_table(kpis: Kpis, levers: list[Lever]) -> ResultTable:
    """What drives the first phase's date, in sentences, what brings most first."""
    rows = kpis.rows(
        "build_binding",
        "What drives the date of the first phase, what brings most first.",
        ("rank",),
        *("kind", "name", "share", "binds", "gain", "sentence"),
    )
    told = [lever for lever in levers if lever.gain >= _NOTABLE]
    for rank, lever in enumerate(told, 1):
        kpis.add(
            rows,
            rank=rank,
            kind=lever.kind,
            name=lever.name,
            share=lever.share,
            binds=lever.share >= 0.5,
            gain=lever.gain,
            sentence=sentence(kpis, lever),
        )
    return rows.table({"gain": "day"})


def lever_table(kpis: Kpis, levers: list[Lever]) -> ResultTable:
    """What each change brings, with its 95 % interval."""
    rows = kpis.rows(
        "build_levers",
        "Days that one change brings: an activity a week shorter, one more of a crew, no risk.",
        ("kind", "name"),
        *("change", "share", "gain", "gain_low", "gain_high", "finish", "worth"),
        *("replications", "sentence"),
    )
    for lever in levers:
        kpis.add(
            rows,
            kind=lever.kind,
            name=lever.name,
            change=_CHANGES[lever.kind],
            share=lever.share,
            gain=lever.gain,
            gain_low=lever.low,
            gain_high=lever.high,
            finish=lever.finish,
            worth=lever.worth,
            replications=lever.replications,
            sentence=sentence(kpis, lever),
        )
    days = dict.fromkeys(("gain", "gain_low", "gain_high", "finish"), "day")
    return rows.table({**days, "worth": "USD"})


_CHANGES = {
    "activity": "a week less",
    "crew": "one more",
    "risk": "it cannot happen",
    "driver": "it cannot happen",
}


def sentence(kpis: Kpis, lever: Lever) -> str:
    """What a change brings, in a sentence."""
    target = "first phase" if kpis.names.phases else "end"
    moved = _moved(lever, target)
    if lever.kind == "activity":
        often = (
            f"{_spoken(lever.name)} drives the {target} in {_percent(lever.share)} of the futures"
        )
        return f"{often}; a week less {moved}"
    if lever.kind == "crew":
        return f"one more {lever.name} {moved}"
    if lever.kind == "risk":
        task, _, risk = lever.name.rpartition(".")
        return f"to rule out {risk} of {_spoken(task)} {moved}"
    return f"to rule out {lever.name} {moved}"


def _spoken(task: str) -> str:
    """`fit_out (hall_1)` of the task `fit_out.hall_1`."""
    activity, _, phase = task.partition(".")
    return f"{activity} ({phase})" if phase else activity


def _moved(lever: Lever, target: str) -> str:
    if abs(lever.gain) < _NOTABLE:
        text = f"does not move the {target}"
        if lever.finish >= _NOTABLE:
            text += f", but brings the end {_days(lever.finish)} forward"
        return text
    if lever.gain < 0:
        return f"puts the {target} {_days(-lever.gain)} back"
    text = f"brings the {target} {_days(lever.gain)} forward"
    if math.isfinite(lever.worth) and lever.worth >= 1.0:
        text += f", worth {_money(lever.worth)}"
    return text


def _days(days: float) -> str:
    """A number of days with two significant digits: 0.4 days, 12 days."""
    text = f"{days:.0f}" if days >= 9.95 else f"{days:.1f}"
    return f"{text} day" if text == "1.0" else f"{text} days"


def _money(amount: float) -> str:
    for size, unit in ((1e9, "BUSD"), (1e6, "MUSD"), (1e3, "kUSD")):
        if amount >= 0.9995 * size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.3g} USD"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0 else "less than 1 %"
