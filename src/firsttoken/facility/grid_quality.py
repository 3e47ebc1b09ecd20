"""Power quality of a site's job mix at the point of connection, over replications."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility import model_grid
from firsttoken.facility.grid_measures import Measures, measure, spectrum
from firsttoken.facility.grid_waveform import (
    LEAN,
    NOTHING,
    Job,
    Smoother,
    balance,
    slew_storage,
    smooth,
    waveform,
)
from firsttoken.facility.slots import NONE, Slots
from firsttoken.kernel.parameters import ParameterTable, draw_replications
from firsttoken.kernel.replicate import replicate, usable_cores
from firsttoken.kernel.streams import entity_key
from firsttoken.twin.findings import BalanceError, Finding, Findings
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import Declared, quantities
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Fact, ModelPort, Series, Signal, Value

Floats = NDArray[np.float64]

SPECTRUM_BINS = 60
"""Bins of the averaged spectrum, evenly spaced in the logarithm of the frequency."""
MOST_SAMPLES, LEAST_SAMPLES = 2_000_000, 16
"""Samples of a window: of all replications that run at a time, at most twice as many."""
EXAMPLE = 3000
"""Samples of the first replication that are kept."""
LIMITS = ("ramp", "range", "oscillation")
"""What a utility can limit."""
_BOOKS = 1e-9
_SMOOTHING = {"storage": 0.0, "ramp_up": math.inf, "ramp_down": math.inf}
_JOB = ("step", "compute", "spread", "high", "low", "checkpoint_every", "checkpoint", "start")


@dataclass(frozen=True, slots=True)
class GridSystem:
    """A site's job mix; integers are parameters, `NONE` where nothing is declared.

    Attributes
    ----------
    names : of the jobs.
    rows : parameters of each job by field name.
    specification : parameters of the utility's limits by field name.
    batteries : parameters (count, storage, rating) of each group that smooths.
    window, sample, losses : parameters.
    """

    parameters: ParameterTable
    site: str
    names: tuple[str, ...]
    rows: tuple[dict[str, int], ...]
    specification: dict[str, int]
    batteries: tuple[tuple[int, int, int], ...]
    window: int
    sample: int
    losses: int


@dataclass(frozen=True, slots=True)
class GridResult:
    """What the point of connection sees.

    Attributes
    ----------
    measures : of what the jobs want and of what the grid gives, shape [R, 2, fields of Measures].
    allowed : limits `ramp` (W/s), `range`, `oscillation` (W) of each replication; NaN: none, [R].
    storage : J that a battery needs to keep the ramp allowed, shape [R]; NaN: no such limit.
    books : J of each job and then the batteries: done, burnt, stored at first, at last, not done;
        shape [R, jobs + 1, 5].
    frequency : Hz, edges of the spectrum's bins, shape [SPECTRUM_BINS + 1].
    oscillation : W within each bin (root mean square over replications), wanted and given,
        shape [2, SPECTRUM_BINS].
    sample : s between samples of `example`.
    example : W wanted and given at the beginning of the first replication, [2, EXAMPLE or less].
    """

    measures: Floats
    allowed: dict[str, Floats]
    storage: Floats
    books: Floats
    frequency: Floats
    oscillation: Floats
    sample: float
    example: Floats


def compile_grid(twin: Twin, name: str, resolve: Resolve) -> GridSystem:
    """Compile the `grid` of a site.

    Raises
    ------
    TwinError
        With all that is wrong: unknown racks, racks without power, a window that is uncertain or
        has too many samples, samples too far apart for the band.
    """
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, build, resolve)
    grid = slots.site.grid
    assert grid is not None
    path = f"{slots.path}.grid"
    findings = Findings()
    rows = [_job(slots, f"{path}.jobs.{key}", job, findings) for key, job in grid.jobs.items()]
    batteries = [
        _battery(slots, key, findings)
        for key, battery in slots.site.batteries.items()
        if battery.use == "smooth"
    ]
    allowed = _parameters(build, grid.allowed, f"{path}.allowed")
    own = _parameters(build, grid, path)
    _check_samples(slots, own, allowed, findings)
    findings.raise_if_errors()
    _check_racks(slots, rows, findings)
    findings.raise_if_errors()
    table, _ = build.tables()
    return GridSystem(
        table, name, tuple(grid.jobs), tuple(rows), allowed, tuple(batteries),
        own["window"], own["sample"], own["losses"],
    )  # fmt: skip


def _check_racks(slots: Slots, rows: Sequence[dict[str, int]], findings: Findings) -> None:
    """Whether jobs that run at the same time have racks enough, as far as numbers are certain."""
    assert slots.site.grid is not None
    fixed = slots.build.fixed
    for name in slots.site.racks:
        sheet = slots.sheet("racks", name)
        there = fixed(_count(slots, sheet.value("count"), sheet.at("count")))
        jobs = [key for key, job in slots.site.grid.jobs.items() if job.racks == name]
        asked = [
            fixed(row["count"])
            for key, row in zip(slots.site.grid.jobs, rows, strict=True)
            if key in jobs
        ]
        known = [count for count in asked if count is not None]
        if there is None or sum(known) <= there * (1 + 1e-9):
            continue
        at = f"{slots.path}.grid.jobs.{jobs[-1]}.count"
        what = f"jobs run on {sum(known):g} racks of {name!r}, and there are {there:g}"
        hint = "give each its `count`, together no more than there are"
        findings.add(Finding(what, "", hint, at, "grid", place=slots.twin.place(at)))


def _check_samples(
    slots: Slots, own: dict[str, int], allowed: dict[str, int], findings: Findings
) -> None:
    """Whether window and samples are certain, show the band, and fit into memory."""
    path = f"{slots.path}.grid"

    def say(field: str, what: str, hint: str) -> None:
        place = slots.twin.place(f"{path}.{field}")
        findings.add(Finding(what, "", hint, f"{path}.{field}", "grid", place=place))

    fixed = slots.build.fixed
    window, sample = fixed(own["window"]), fixed(own["sample"])
    if window is None or sample is None:
        say("window" if window is None else "sample", "it must be certain", "write one number")
        return
    if window / sample > MOST_SAMPLES:
        what = f"{window / sample:.0f} samples are too many, {MOST_SAMPLES:,} are the most"
        say("window", what, "shorten the window, or sample less often")
    if window / sample < LEAST_SAMPLES:
        what = f"{window / sample:.0f} samples are too few, {LEAST_SAMPLES} are the least"
        say("window", what, "lengthen the window, or sample more often")
    low, high = fixed(allowed["band_low"]), fixed(allowed["band_high"])
    if high is not None and high > 0.5 / sample:
        what = f"samples every {1e3 * sample:g} ms show nothing above {0.5 / sample:g} Hz"
        say("sample", what, f"write {500.0 / high:g} ms or less for a band up to {high:g} Hz")
    if low is not None and high is not None and low >= high:
        say("allowed.band_low", "the band ends where it begins, or before", "exchange its ends")
    if low is not None and low < 1.0 / window:
        what = f"{window:g} s show nothing below {1.0 / window:g} Hz"
        say("window", what, f"write {1.0 / low:g} s or more for a band from {low:g} Hz")


def _parameters(build: ParameterBuilder, owner: Declared, path: str) -> dict[str, int]:
    """Parameter of each quantity of an object; NONE where nothing is written."""
    found = {}
    for key, quantity in quantities(type(owner)).items():
        given = getattr(owner, key)
        known = given is not None and not isinstance(given, dict | Declared)
        found[key] = build.scalar(given, f"{path}.{key}", quantity.unit) if known else NONE
    return found


def _count(slots: Slots, value: Value | None, path: str) -> int:
    """Parameter of a count; one that changes with time stands at its last value."""
    assert value is not None
    if isinstance(value, ModelPort | Signal | Fact):
        found = slots.resolve(value, "each")
        value = found if isinstance(found, Series) else value
    last = value.knots[-1][1] if isinstance(value, Series) else value
    return slots.build.scalar(last, path, "each")


def _battery(slots: Slots, key: str, findings: Findings) -> tuple[int, int, int]:
    """Parameters (count, storage, rating) of batteries that smooth."""
    sheet = slots.sheet("batteries", key)
    if not sheet.has("rating"):
        findings.add(sheet.missing("rating", "batteries smooth up to their rating"))
    count = _count(slots, sheet.value("count"), sheet.at("count"))
    return count, sheet.scalar("storage", 0.0), sheet.scalar("rating", 0.0)


def _job(slots: Slots, path: str, job: model_grid.Job, findings: Findings) -> dict[str, int]:
    """Parameters of a job by the names of its own fields, its smoothing's and its racks'."""
    if job.racks not in slots.site.racks:
        what, hint = f"racks {job.racks!r} are unknown", nearest(job.racks, list(slots.site.racks))
        place = slots.twin.place(f"{path}.racks")
        findings.add(Finding(what, "", hint, f"{path}.racks", "reference", place=place))
        return {}
    sheet, build = slots.sheet("racks", job.racks), slots.build
    if not sheet.has("power"):
        findings.add(sheet.missing("power", "a job draws a share of it"))
    row = _parameters(build, job, path)
    row["power"], row["idle"] = sheet.scalar("power", 0.0), sheet.scalar("idle", 0.0)
    if job.smoothing is not None:
        row |= _parameters(build, job.smoothing, f"{path}.smoothing")
        row |= {key: sheet.scalar(key, otherwise) for key, otherwise in _SMOOTHING.items()}
    row["entity"] = entity_key(path)
    if row["count"] == NONE:
        row["count"] = _count(slots, sheet.value("count"), sheet.at("count"))
    return row


def simulate_grid(
    system: GridSystem,
    replications: int,
    seed: int,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> GridResult:
    """Waveforms of the job mix, smoothed by racks and batteries, and what a utility measures.

    Raises
    ------
    BalanceError
        If the energy of a smoother does not add up.
    """
    values = np.empty((replications, len(system.parameters.code)))
    draw_replications(system.parameters, seed, 0, values)
    jobs = len(system.names)
    result = GridResult(
        np.empty((replications, 2, len(Measures._fields))),
        {key: _column(values, system.specification[key]) for key in LIMITS},
        np.full(replications, np.nan),
        np.empty((replications, jobs + 1, 5)),
        _bins(values[0], system),
        np.zeros((2, SPECTRUM_BINS)),
        float(values[0, system.sample]),
        np.empty((2, min(_samples(values[0], system), EXAMPLE))),
    )
    squares = np.zeros((replications, 2, SPECTRUM_BINS))

    def block(low: int, high: int) -> None:
        for r in range(low, high):
            _replication(system, values[r], seed, r, result, squares[r])

    room = max(1, 2 * MOST_SAMPLES // (_samples(values[0], system) + _lead(values[0], system)))
    threads = min(threads or usable_cores(), room)
    replicate(block, replications, block=1, threads=threads, progress=progress, cancel=cancel)
    result.oscillation[:] = np.sqrt(squares.mean(axis=0))
    return result


def _column(values: Floats, parameter: int) -> Floats:
    """Values of a parameter, [R]; NaN where nothing is declared."""
    return np.full(len(values), np.nan) if parameter == NONE else values[:, parameter]


def _samples(x: Floats, system: GridSystem) -> int:
    return max(2, int(x[system.window] / x[system.sample]))


def _bins(x: Floats, system: GridSystem) -> Floats:
    lowest = 1.0 / x[system.window]
    edges: Floats = np.geomspace(lowest, 0.5 / x[system.sample], SPECTRUM_BINS + 1)
    return edges


def _value(x: Floats, parameter: int, otherwise: float) -> float:
    return otherwise if parameter == NONE else float(x[parameter])


def _lead(x: Floats, system: GridSystem) -> int:
    """Samples before the window in which storage finds its level: three of its time constants."""
    smoothers = [*(_smoother_values(x, row) for row in system.rows), _battery_values(x, system)]
    wanted = 3.0 * LEAN * max(by.time for by in smoothers) / x[system.sample]
    return int(min(wanted, _samples(x, system)))


def _replication(
    system: GridSystem, x: Floats, seed: int, r: int, result: GridResult, squares: Floats
) -> None:
    sample, lead = float(x[system.sample]), _lead(x, system)
    n = _samples(x, system) + lead
    wanted, taken = np.zeros(n), np.zeros(n)
    one, smoothed = np.empty(n), np.empty(n)
    for j, row in enumerate(system.rows):
        waveform(_job_values(x, row, lead * sample), sample, seed, r, one)
        smooth(one, sample, _smoother_values(x, row), lead, result.books[r, j], smoothed)
        _require(result.books[r, j], smoothed[lead:], sample, system.names[j])
        wanted += one
        taken += smoothed
    follow = 1.0 / (1.0 - x[system.losses])
    wanted *= follow
    taken *= follow
    smooth(taken, sample, _battery_values(x, system), lead, result.books[r, -1], smoothed)
    _require(result.books[r, -1], smoothed[lead:], sample, "batteries")
    limits = system.specification
    windows = x[limits["ramp_window"]], x[limits["range_window"]]
    edges = x[limits["band_low"]], x[limits["band_high"]]
    for k, power in enumerate((wanted[lead:], smoothed[lead:])):
        result.measures[r, k] = measure(power, sample, *windows, *edges)
        frequency, square = spectrum(power, sample)
        squares[k] = np.histogram(frequency, result.frequency, weights=square)[0]
    if limits["ramp"] != NONE:
        result.storage[r] = slew_storage(taken[lead:], sample, x[limits["ramp"]])
    if r == 0:
        end = lead + result.example.shape[1]
        result.example[0], result.example[1] = wanted[lead:end], smoothed[lead:end]


def _job_values(x: Floats, row: dict[str, int], lead: float) -> Job:
    """A job; one that runs from the beginning of the window does so `lead` s earlier."""
    step, compute, spread, high, low, every, checkpoint, start = (
        _value(x, row[key], 0.0) for key in _JOB
    )
    count = x[row["count"]]
    power, idle = count * x[row["power"]], count * x[row["idle"]]
    stop = _value(x, row["stop"], math.inf) + lead
    start += lead if start > 0.0 else 0.0
    return Job(
        step, compute, spread, max(high * power, idle), max(low * power, idle), idle,
        every, checkpoint, start, stop, row["entity"],
    )  # fmt: skip


def _smoother_values(x: Floats, row: dict[str, int]) -> Smoother:
    if "time" not in row:
        return NOTHING
    count = float(x[row["count"]])
    storage, time = count * float(x[row["storage"]]), float(x[row["time"]])
    up, down = count * float(x[row["ramp_up"]]), count * float(x[row["ramp_down"]])
    floor = count * float(x[row["power"]] * x[row["floor"]])
    return Smoother(
        storage if time > 0 else 0.0, time, math.inf, up, down, floor, float(x[row["hold"]])
    )


def _battery_values(x: Floats, system: GridSystem) -> Smoother:
    """All batteries that smooth as one; they average over the time that their energy lasts."""
    storage = sum(float(x[count] * x[energy]) for count, energy, _ in system.batteries)
    rating = sum(float(x[count] * x[limit]) for count, _, limit in system.batteries)
    time = storage / rating if 0 < rating < math.inf else 0.0
    return Smoother(storage, time, rating, math.inf, math.inf, 0.0, 0.0)


def _require(books: Floats, taken: Floats, sample: float, who: str) -> None:
    error = balance(books, taken, sample)
    if not error < _BOOKS:
        raise BalanceError(f"energy of {who} does not balance: relative error {error:.3g}")
