"""Power quality: measures and smoothers against Fourier series and energy balances.

A square wave between H and L with duty d and period T has the mean L + d (H - L), the variance
(H - L)^2 d (1 - d) and the first line 2 (H - L) / pi sin(pi d), which is 4 A / pi for an amplitude
A = (H - L) / 2 and d = 1/2.  A storage holds it flat if and only if it holds what the high phase
takes beyond the mean: E = (H - L) d (1 - d) T.  With less, the range is at least
(H - L) (1 - E / E_flat), since the storage can give at most E in a high phase and take it in a low.
A ramp of height P followed at r W/s needs P^2 / (2 r).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken import api
from firsttoken.chain.ports import Resolver
from firsttoken.facility.grid_measures import band, dynamic_range, ramp, spectrum
from firsttoken.facility.grid_quality import (
    BalanceError,
    GridResult,
    compile_grid,
    simulate_grid,
)
from firsttoken.facility.grid_waveform import (
    NOTHING,
    Job,
    Smoother,
    balance,
    slew_storage,
    smooth,
    waveform,
)
from firsttoken.twin.findings import TwinError
from firsttoken.twin.schema import support
from firsttoken.twin.values import Constant

HIGH, LOW = 100.0, 40.0


def square(
    step: float, duty: float, sample: float, n: int, high: float = HIGH, low: float = LOW
) -> np.ndarray:
    """A job without spread that starts with its compute phase."""
    job = Job(step, duty, 0.0, high, low, 0.0, 0.0, 0.0, 1e-12, math.inf, 7)
    out = np.empty(n)
    waveform(job, sample, 1, 0, out)
    return out


def smoothed(wanted: np.ndarray, sample: float, by: Smoother) -> tuple[np.ndarray, np.ndarray]:
    books, out = np.empty(5), np.empty(len(wanted))
    smooth(wanted, sample, by, 0, books, out)
    assert balance(books, out, sample) < 1e-9
    return out, books


def store(energy: float, time: float) -> Smoother:
    return Smoother(energy, time, math.inf, math.inf, math.inf, 0.0, 0.0)


# What is measured ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "duty"), [(2.0, 0.5), (1.0, 0.8), (0.7, 0.3)])
def test_a_square_wave_has_the_lines_of_its_fourier_series(step: float, duty: float) -> None:
    power = square(step, duty, 0.005, 40_000)
    _, line, frequency = band(power, 0.005, 0.1, 20.0)
    expected = 2.0 * (HIGH - LOW) / math.pi * math.sin(math.pi * duty)
    assert line == pytest.approx(expected, rel=3e-3)
    assert frequency == pytest.approx(1.0 / step, abs=1.0 / 200.0)


def test_its_first_line_at_half_duty_is_four_amplitudes_over_pi() -> None:
    power = square(2.0, 0.5, 0.01, 30_000)
    assert band(power, 0.01, 0.4, 0.6)[1] == pytest.approx(4.0 * 30.0 / math.pi, rel=1e-3)


@pytest.mark.parametrize("duty", [0.2, 0.5, 0.8])
def test_the_spectrum_holds_all_of_the_variance(duty: float) -> None:
    power = square(1.0, duty, 0.01, 20_000)
    _, square_mean = spectrum(power, 0.01)
    variance = (HIGH - LOW) ** 2 * duty * (1.0 - duty)
    assert square_mean.sum() == pytest.approx(variance, rel=5e-3)
    assert power.mean() == pytest.approx(LOW + duty * (HIGH - LOW), rel=1e-3)


@pytest.mark.parametrize("n", [999, 1000])
def test_parseval_for_noise(n: int) -> None:
    noise = np.random.default_rng(5).normal(0.0, 3.0, (200, n))
    total = [spectrum(row, 0.01)[1].sum() for row in noise]
    assert np.mean(total) == pytest.approx(9.0, rel=0.02)


def test_a_sine_counts_in_its_band_only() -> None:
    t = np.arange(20_000) * 0.02
    power = 50.0 + 3.0 * np.sin(2.0 * math.pi * 1.7 * t)
    total, line, frequency = band(power, 0.02, 0.1, 20.0)
    assert (total, line) == (pytest.approx(3.0 / math.sqrt(2.0)), pytest.approx(3.0))
    assert frequency == pytest.approx(1.7, abs=0.003)
    assert band(power, 0.02, 2.0, 20.0)[0] < 1e-6


def test_ramp_and_range_of_a_ramp() -> None:
    power = np.minimum(np.arange(1000) * 0.1 * 5.0, 200.0)  # 5 W/s for 40 s
    assert ramp(power, 0.1, 1.0) == pytest.approx(5.0)
    assert dynamic_range(power, 0.1, 10.0) == pytest.approx(50.0)
    assert dynamic_range(power, 0.1, 60.0) == pytest.approx(200.0)
    assert ramp(power[:5], 0.1, 1.0) == 0.0


# Jobs ---------------------------------------------------------------------------------------------


@given(
    step=st.floats(0.05, 20.0),
    duty=st.floats(0.0, 1.0),
    start=st.floats(0.0, 30.0),
    stop=st.floats(5.0, 80.0),
)
@settings(max_examples=60, deadline=None)
def test_a_job_draws_what_its_phases_say(
    step: float, duty: float, start: float, stop: float
) -> None:
    sample, n = 0.01, 6000
    job = Job(step, duty, 0.0, HIGH, LOW, 10.0, 0.0, 0.0, max(start, 1e-9), stop, 3)
    out = np.empty(n)
    waveform(job, sample, 1, 0, out)
    end = min(stop, n * sample)
    busy = max(end - job.start, 0.0)
    whole = math.floor(busy / step)
    high = whole * duty * step + min(busy - whole * step, duty * step)
    expected = HIGH * high + LOW * (busy - high) + 10.0 * (n * sample - busy)
    assert out.sum() * sample == pytest.approx(expected, rel=1e-6)
    assert out.min() >= 10.0 - 1e-9
    assert out.max() <= HIGH + 1e-9


def test_checkpoints_take_their_share_of_the_time() -> None:
    job = Job(1.0, 1.0, 0.0, HIGH, LOW, 0.0, 50.0, 10.0, 1e-9, math.inf, 3)
    out = np.empty(60_000)
    waveform(job, 0.01, 1, 0, out)
    # 50 s of work at high, 10 s of checkpoint at low, then again 50 s after its end
    assert (out < HIGH - 1.0).mean() == pytest.approx(10.0 / 60.0, abs=0.01)


def test_iterations_are_drawn_by_replication() -> None:
    job = Job(1.0, 0.5, 0.1, HIGH, LOW, 0.0, 0.0, 0.0, 0.0, math.inf, 3)
    first, again, other = np.empty(5000), np.empty(5000), np.empty(5000)
    waveform(job, 0.01, 1, 0, first)
    waveform(job, 0.01, 1, 0, again)
    waveform(job, 0.01, 1, 1, other)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# Smoothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "duty"), [(1.0, 0.5), (2.0, 0.8), (0.5, 0.25)])
def test_power_is_flat_if_and_only_if_the_storage_holds_a_phase(step: float, duty: float) -> None:
    sample = step / 200
    wanted = square(step, duty, sample, 100_000)
    flat = (HIGH - LOW) * duty * (1.0 - duty) * step
    for share in (0.25, 0.5, 0.75):
        taken, _ = smoothed(wanted, sample, store(share * flat, 20.0 * step))
        least = (HIGH - LOW) * (1.0 - share)
        assert dynamic_range(taken[80_000:], sample, step) >= 0.98 * least
    taken, books = smoothed(wanted, sample, store(1.1 * flat, 20.0 * step))
    assert dynamic_range(taken[80_000:], sample, step) < 0.03 * (HIGH - LOW)
    assert books[4] == 0.0  # all work is done


@pytest.mark.parametrize(("height", "slope"), [(60.0, 5.0), (20.0, 0.5), (1e6, 1e5)])
def test_storage_that_holds_a_slope(height: float, slope: float) -> None:
    wanted = np.concatenate([np.zeros(100), np.full(100_000, height)])
    sample = height / slope / 20_000
    assert slew_storage(wanted, sample, slope) == pytest.approx(height**2 / (2 * slope), rel=1e-3)


def test_ramps_cap_work_on_the_way_up_and_burn_on_the_way_down() -> None:
    wanted = np.concatenate([np.zeros(100), np.full(4000, 100.0), np.zeros(4000)])
    by = Smoother(0.0, 0.0, math.inf, 5.0, 10.0, 0.0, 0.0)
    taken, books = smoothed(wanted, 0.01, by)
    assert ramp(taken, 0.01, 0.01) <= 10.0 + 1e-9
    assert books[4] == pytest.approx(100.0**2 / (2 * 5.0), rel=1e-2)  # not done
    assert books[1] == pytest.approx(100.0**2 / (2 * 10.0), rel=1e-2)  # burnt
    assert books[0] == pytest.approx(100.0 * 40.0 - books[4])


def test_a_floor_is_held_for_its_time_after_the_work() -> None:
    wanted = np.concatenate([np.full(1000, 100.0), np.zeros(5000)])
    by = Smoother(0.0, 0.0, math.inf, math.inf, math.inf, 60.0, 20.0)
    taken, books = smoothed(wanted, 0.01, by)
    assert books[1] == pytest.approx(60.0 * 20.0, rel=1e-3)
    assert taken[-1] == 0.0


def test_nothing_changes_without_a_smoother() -> None:
    wanted = square(1.0, 0.6, 0.01, 2000)
    taken, books = smoothed(wanted, 0.01, NOTHING)
    assert np.array_equal(taken, wanted)
    assert books[1] == books[4] == 0.0


@given(
    energy=st.floats(0.0, 500.0),
    time=st.floats(0.0, 5.0),
    limit=st.floats(0.0, 100.0),
    up=st.floats(1.0, 1e4),
    down=st.floats(1.0, 1e4),
    floor=st.floats(0.0, 120.0),
    step=st.floats(0.1, 5.0),
)
@settings(max_examples=80, deadline=None)
def test_every_smoother_keeps_its_books(
    energy: float, time: float, limit: float, up: float, down: float, floor: float, step: float
) -> None:
    wanted = square(step, 0.6, 0.02, 1000)
    by = Smoother(energy, time, limit, up, down, floor, 1.0)
    taken, books = smoothed(wanted, 0.02, by)
    assert books[0] + books[4] == pytest.approx(wanted.sum() * 0.02)
    assert -1e-9 <= books[3] <= energy * (1 + 1e-9) + 1e-9
    assert books[1] >= -1e-9
    assert taken.max() <= max(wanted.max(), floor) * (1 + 1e-9)
    change = np.diff(taken) / 0.02
    assert change.max(initial=0.0) <= up * (1 + 1e-9) + 1e-6
    assert change.min(initial=0.0) >= -down * (1 + 1e-9) - 1e-6


# Sites --------------------------------------------------------------------------------------------

SITE = """
twin: cluster
start: 2026-01-05
horizon: 1 day
replications: 4
library: [ai-hardware]
facility:
  hall:
    feeds: {{grid: {{rating: 250 MW}}}}
    {more}
    racks:
      gb300: {{part: gb300_nvl72, count: 100, power: 135 kW, ramp_up: 1 GW/s, ramp_down: 1 GW/s}}
    grid:
      window: 60 s
      losses: 0
      {grid}
"""


def site(folder: Path, grid: str, more: str = "") -> Path:
    file = folder / "twin.yaml"
    file.write_text(SITE.format(grid=grid, more=more), encoding="utf-8")
    return file


def quality(folder: Path, grid: str, more: str = "") -> GridResult:
    twin = api.load(site(folder, grid, more))
    return simulate_grid(compile_grid(twin, "hall", Resolver(twin)), 4, 1)


def gb300(step: float, time: str) -> str:
    job = f"racks: gb300, step: {step} s, compute: 0.5, low: 0.4, smoothing: {{time: {time}}}"
    return f"sample: 2 ms\n      jobs: {{train: {{{job}}}}}"


def test_capacitors_of_gb300_lower_the_peak_by_30_percent_up_to_0_23_s(tmp_path: Path) -> None:
    """65 J a GPU and up to 30 % lower peaks (NVIDIA developer blog, 2025-07-28).

    A rack that swings between all and 0.4 of its 135 kW at half duty has 0.7 in the mean: 30 %
    below its peak.  4,680 J hold that for T = E / ((H - L) / 4) = 0.23 s.
    """
    twin = api.load(site(tmp_path, gb300(0.2, "4 s")))
    known = twin.library.resolve("gb300_nvl72.storage", twin.as_of, "J")
    lower = twin.library.resolve("gb300_nvl72.smoothing", twin.as_of, "")
    assert isinstance(known, Constant)
    assert known.value == 72 * 65
    assert support(lower)[1] == 0.3
    swing = 0.6 * 135e3
    longest = 72 * 65 / (swing / 4)
    assert longest == pytest.approx(0.231, abs=0.001)
    for step in (0.1, 0.2):
        found = quality(tmp_path, gb300(step, f"{40 * step} s")).measures[:, :, 1]
        assert found[:, 1] / found[:, 0] == pytest.approx(0.7, abs=0.02)
    found = quality(tmp_path, gb300(2.0, "80 s")).measures
    assert (found[:, 1, 4] / found[:, 0, 4] >= 0.98 * (1 - longest / 2.0)).all()


def test_batteries_of_the_site_take_what_racks_leave(tmp_path: Path) -> None:
    grid = "jobs: {train: {racks: gb300, step: 4 s, compute: 0.5}}"
    more = "batteries: {bess: {part: bess_5mwh, count: 2, rating: 2.5 MW, from: grid, use: smooth}}"
    without = quality(tmp_path, grid).measures[:, 1, 4]
    found = quality(tmp_path, grid, more).measures[:, 1, 4]
    assert without == pytest.approx(100 * 0.6 * 135e3, rel=1e-6)  # 8.1 MW
    # 5 MW up and 5 MW down could take 10 MW: the swing is gone
    assert (found < 0.02 * without).all()


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    saved = "checkpoint_every: 20 s, checkpoint: 1 s"
    grid = f"jobs: {{train: {{racks: gb300, step: 2 s, spread: 5 %, {saved}}}}}"
    twin = api.load(site(tmp_path, grid))
    system = compile_grid(twin, "hall", Resolver(twin))
    one = simulate_grid(system, 6, 1, threads=1)
    many = simulate_grid(system, 6, 1, threads=4)
    assert np.array_equal(one.measures, many.measures)
    assert np.array_equal(one.oscillation, many.oscillation)
    assert not np.array_equal(one.measures[0], one.measures[1])


def test_jobs_in_step_add_and_jobs_out_of_step_do_not(tmp_path: Path) -> None:
    """Two jobs of different periods: variances add (their lines do not meet)."""
    one = "{racks: gb300, count: 50, step: 2 s, compute: 0.5}"
    other = "{racks: gb300, count: 50, step: 3.1 s, compute: 0.5}"
    both = quality(tmp_path, f"jobs: {{a: {one}, b: {other}}}").measures[:, 0, 5]
    alone = [quality(tmp_path, f"jobs: {{a: {job}}}").measures[:, 0, 5] for job in (one, other)]
    assert both == pytest.approx(np.hypot(*alone), rel=0.05)


def test_tables(tmp_path: Path) -> None:
    grid = (
        "allowed: {ramp: 5 MW/s, range: 9 MW, oscillation: 10 MW}\n"
        "      jobs: {train: {racks: gb300, step: 2 s, compute: 0.5}}"
    )
    run = api.run(site(tmp_path, grid), engines=("simulate",), out=tmp_path / "run", report=False)
    with run.results as results:
        found = results.sql("select * from facility_grid order by measure")
        rows = {
            name: {key: found[key][i] for key in found} for i, name in enumerate(found["measure"])
        }
        jobs = results.sql("select * from facility_grid_jobs where metric = 'work'")
        spectrum_rows = results.sql(
            "select sum(wanted * wanted) as total from facility_grid_spectrum"
        )
        shown = results.sql("select count(*) as n, max(seconds) as s from facility_grid_waveform")
    # A swing of 8.1 MW within one sample
    assert rows["ramp"]["p50"] == pytest.approx(8.1, rel=1e-6)
    assert rows["ramp"]["within"] == 0.0
    said = "Fastest ramp 8.1 MW/s, allowed 5 MW/s: 1.62 times as much as allowed"
    assert rows["ramp"]["sentence"] == said
    assert rows["range"]["within"] == rows["oscillation"]["within"] == 1.0
    assert rows["range"]["sentence"].endswith("within")
    assert rows["ramp_storage"]["p50"] > 0.0
    assert jobs["p50"][0] == pytest.approx(0.7 * 13.5 / 60, rel=0.02)  # MWh in a minute
    assert spectrum_rows["total"][0] == pytest.approx((8100 / 2) ** 2, rel=0.02)  # kW^2
    assert (shown["n"][0], shown["s"][0]) == (3000, pytest.approx(59.98))


@pytest.mark.parametrize(
    ("grid", "what", "path"),
    [
        ("jobs: {a: {racks: gb30, step: 1 s}}", "unknown", "jobs.a.racks"),
        ("sample: 50 ms\n      jobs: {a: {racks: gb300, step: 1 s}}", "nothing above", "sample"),
        (
            "sample: 1 us\n      jobs: {a: {racks: gb300, step: 1 s}}",
            "too many",
            "window",
        ),
        (
            "allowed: {band_low: 0.01 Hz}\n      jobs: {a: {racks: gb300, step: 1 s}}",
            "nothing below",
            "window",
        ),
        (
            "allowed: {band_low: 5 Hz, band_high: 1 Hz}\n      jobs: {a: {racks: gb300, step: 1 s}}",  # noqa: E501
            "ends where it begins",
            "allowed.band_low",
        ),
        (
            "jobs: {a: {racks: gb300, step: 1 s}, b: {racks: gb300, count: 1, step: 1 s}}",
            "101 racks of 'gb300', and there are 100",
            "jobs.b.count",
        ),
        (
            "sample: uniform(1, 2) ms\n      jobs: {a: {racks: gb300, step: 1 s}}",
            "certain",
            "sample",
        ),
    ],
)
def test_what_is_wrong_is_found_before_a_run(
    tmp_path: Path, grid: str, what: str, path: str
) -> None:
    found = [f for f in api.check(site(tmp_path, grid)) if f.severity == "error"]
    assert [f.path for f in found] == [f"facility.hall.grid.{path}"]
    assert what in found[0].what
    assert found[0].place is not None
    assert found[0].hint
    with pytest.raises(TwinError):
        quality(tmp_path, grid)


def test_a_battery_without_energy_is_found(tmp_path: Path) -> None:
    grid = "jobs: {a: {racks: gb300, step: 1 s}}"
    more = "batteries: {bess: {rating: 1 MW, from: grid, use: smooth}}"
    found = [f for f in api.check(site(tmp_path, grid, more)) if f.severity == "error"]
    assert [f.path for f in found] == ["facility.hall.batteries.bess.storage"]


def test_books_that_do_not_balance_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firsttoken.facility import grid_quality

    monkeypatch.setattr(grid_quality, "balance", lambda *_: 1e-3)
    with pytest.raises(BalanceError, match="train"):
        quality(tmp_path, "jobs: {train: {racks: gb300, step: 1 s}}")
