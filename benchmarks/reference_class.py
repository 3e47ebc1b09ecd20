"""How long AI data centres take: the reference class, and forecasts of it held against the facts.

Data: Epoch AI, Frontier Data Centers (https://epoch.ai/data/data-centers), CC BY 4.0, snapshot of
2026-05-23, read from ``../shared/data/epoch_frontier_dc``; not part of this repository but for the
starts and ends derived from it, which the library ships as ``sites.csv``.

Usage: python benchmarks/reference_class.py sites [--data FOLDER] > sites.csv
       python benchmarks/reference_class.py backtest [--data FOLDER]
       python benchmarks/reference_class.py announced [--data FOLDER]
docs/explanation/reference-class.md says what was found.
"""

from __future__ import annotations

import argparse
import csv
import math
import re
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firsttoken.build.reference import (
    Durations,
    Floats,
    KaplanMeier,
    Outside,
    outside_view,
)
from firsttoken.build.reference_pool import Pool, combined
from firsttoken.twin.dates import DAY, iso, parse_date

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "epoch_frontier_dc"
SNAPSHOT = "2026-05-23"
"""Rows dated later are forecasts."""

ANNOUNCED = Path(__file__).with_name("announced_dates.csv")
"""When somebody said when a site would be there, with the page that says so."""

SOURCE = "Epoch AI Frontier Data Centers (epoch.ai) CC BY 4.0"


@dataclass(frozen=True)
class Milestone:
    """One dated row of a site: the day, facility power in operation [MW], and what was seen."""

    day: str
    power: float
    text: str


@dataclass(frozen=True)
class Site:
    """A site with its rows by date; `end` is empty if it had no power at the snapshot."""

    name: str
    start: str
    end: str
    began: str
    rows: tuple[Milestone, ...]


def read(folder: Path) -> list[Site]:
    """Sites whose start was seen.

    The start is the first dated row, if nothing is in operation in it yet; the end is the first
    row with power in operation dated on or before the snapshot. Sites whose first row already
    shows power began nobody knows when, and are left out.
    """
    rows: defaultdict[str, list[Milestone]] = defaultdict(list)
    with (folder / "data_center_timelines.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            power = float(row["Power (MW)"] or 0)
            text = row["Construction status"]
            rows[row["Data center"]].append(Milestone(row["Date"], power, text))
    found = []
    for name, given in rows.items():
        ordered = tuple(sorted(given, key=lambda row: row.day))
        powered = [row.day for row in ordered if row.power > 0 and row.day <= SNAPSHOT]
        if ordered[0].power == 0 and ordered[0].day <= SNAPSHOT:
            end = powered[0] if powered else ""
            found.append(Site(name, ordered[0].day, end, began(ordered[0].text), ordered))
    return sorted(found, key=lambda site: (site.start, site.name))


def began(text: str) -> str:
    """What the first row shows: cleared land, a conversion, or works already under way."""
    if re.search(r"land clear|land cleared|ground broken", text, re.I):
        return "land clearing"
    converted = re.search(r"convert|retrofit|chiller configuration", text, re.I)
    return "conversion" if converted else "works seen"


def write_sites(sites: list[Site]) -> None:
    """The library's table on standard output."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("site", "start", "end", "seen", "note", "source"))
    for site in sites:
        out.writerow((site.name, site.start, site.end, SNAPSHOT, site.began, SOURCE))


ENOUGH = 3
"""Sites finished since 2023 below which the wider class is used."""

CUTS = ("2023-07-01", "2024-01-01", "2024-07-01", "2025-01-01", "2025-07-01", "2026-01-01")
"""Days after which everything is hidden; before the first fewer than three were finished."""

MONTH = 365.25 / 12 * DAY
LEVELS = np.array([0.1, 0.2, 0.5, 0.8, 0.9])
DRAWS = 999
RANKS = (np.arange(DRAWS) + 0.5) / DRAWS

STAGES = (
    (
        "equipped",
        r"looks? (mostly |externally )?complete|equipment installed|generators .*in place",
    ),
    ("roofed", r"roofs? (is |has been )?(now )?(complete|finished|fully)|roof complete"),
)
"""What a row says of the first building, the latest stage first."""


@dataclass(frozen=True)
class Case:
    """One site not finished at a cut-off: the forecast's question and its answer.

    Attributes
    ----------
    elapsed, remaining : seconds from the start to the cut-off, and from there to the end (inf if
        it is not finished at the snapshot).
    look : seconds from the cut-off to the snapshot: so much of the future is known.
    inside : [DRAWS] ascending, durations from the start by a planner's rule.
    """

    site: str
    cut: str
    elapsed: float
    remaining: float
    look: float
    inside: Floats


def triangle(low: float, mode: float, high: float) -> Floats:
    """Quantiles at RANKS of a triangular distribution, in seconds; arguments in months."""
    share = (mode - low) / (high - low)
    rising = low + np.sqrt(RANKS * (high - low) * (mode - low))
    falling = high - np.sqrt((1 - RANKS) * (high - low) * (high - mode))
    return np.where(share > RANKS, rising, falling) * MONTH


def planner(site: Site, cut: str) -> Floats:
    """A forecast from the inside, by the rules of thumb in the notes of the table.

    From ground-breaking 18 to 24 months; from a finished roof 5 months (150 days); from finished
    equipment 3 months for commissioning. A plan that has passed is moved: what remains after
    the last stage seen is at least 1 month, or 5 without a roof.
    """
    start, now = parse_date(site.start), parse_date(cut)
    seen = [row for row in site.rows if row.day <= cut and row.power == 0]
    elapsed = now - start
    for stage, words in STAGES:
        days = [parse_date(row.day) for row in seen if re.search(words, row.text, re.I)]
        if days:
            rest = triangle(1, 3, 6) if stage == "equipped" else triangle(3, 5, 8)
            return np.maximum(days[0] - start + rest, elapsed + triangle(0.5, 1, 2))
    return np.maximum(triangle(18, 21, 24), elapsed + triangle(3, 5, 7))


def cases(sites: list[Site], cut: str) -> list[Case]:
    """Sites begun and not finished at the cut-off."""
    now, last = parse_date(cut), parse_date(SNAPSHOT)
    found = []
    for site in sites:
        end = parse_date(site.end) if site.end else math.inf
        start = parse_date(site.start)
        if site.start < cut and end > now:
            inside = planner(site, cut)
            found.append(Case(site.name, cut, now - start, end - now, last - now, inside))
    return found


def seen_by(sites: list[Site], cut: str, since: str) -> Durations:
    """What was to be seen of the class on the day of the cut-off."""
    chosen = [site for site in sites if site.start >= since]
    start = [parse_date(site.start) for site in chosen]
    end = [parse_date(site.end) if site.end else math.nan for site in chosen]
    return Durations.seen(start, end, parse_date(cut))


def finished_only(sites: Durations) -> KaplanMeier:
    """The mistake to avoid: sites not finished are left out."""
    done = sites.finished
    return KaplanMeier.of(Durations(sites.time[done], done[done]))


Forecast = Callable[[Case, Durations, Durations], Floats]


def outside(case: Case, view: Outside) -> Floats:
    """Quantiles at RANKS of the duration by the reference class."""
    time = view.quantile(RANKS, case.elapsed)
    longest = case.elapsed + MONTH
    return np.where(np.isfinite(time), time, longest)


def log_pool(case: Case, view: Outside, weight: float) -> Floats:
    """Quantiles of the geometric mean of both densities, by months of a fourth."""
    grid = case.elapsed + np.arange(0.0, 90.0, 0.25) * MONTH
    own = np.diff(np.searchsorted(case.inside, grid, side="right") / DRAWS) + 1e-6
    other = -np.diff(view.survival(grid)) / view.survival(case.elapsed) + 1e-6
    mass = own ** (1 - weight) * other**weight
    return np.interp(RANKS, np.cumsum(mass) / mass.sum(), grid[1:])


def pooled(pool: Pool, weight: float, method: str = "weibull") -> Forecast:
    """A forecast by both views."""

    def forecast(case: Case, young: Durations, old: Durations) -> Floats:
        view = outside_view(old, method)
        return combined(case.inside, view, weight, case.elapsed, pool)

    return forecast


POOLS: tuple[Pool, ...] = ("linear", "quantile")
CHOSEN = "quantile pool, 0.50 Weibull"
METHODS: dict[str, Forecast] = {
    "plan by rule": lambda case, young, old: case.inside,
    "finished sites only": lambda case, young, old: outside(case, finished_only(old)),
    "Kaplan-Meier": lambda case, young, old: outside(case, outside_view(old)),
    "Weibull": lambda case, young, old: outside(case, outside_view(old, "weibull")),
    "Weibull, begun since 2023": lambda case, young, old: outside(
        case, outside_view(young, "weibull")
    ),
    **{
        f"{pool} pool, {weight:.2f} Weibull": pooled(pool, weight)
        for pool in POOLS
        for weight in (0.25, 0.5, 0.75)
    },
    "quantile pool, 0.50 Kaplan-Meier": pooled("quantile", 0.5, "kaplan_meier"),
    "log pool, 0.50 Weibull": lambda case, young, old: log_pool(
        case, outside_view(old, "weibull"), 0.5
    ),
}


@dataclass(frozen=True)
class Score:
    """How good one forecast of one case was; times in months, up to the snapshot.

    All cases were last seen on one day, so that the duration cut off there is known of each, and
    the scores of a forecast cut off there are proper.

    Attributes
    ----------
    reached : [LEVELS] 1 if finished by the date of that probability, 0 if not, nan if that date
        lies after the snapshot.
    """

    site: str
    crps: float
    error: float
    pinball: float
    reached: Floats


def score(case: Case, times: Floats) -> Score:
    """Score the quantiles at RANKS of a duration."""
    rest = np.maximum(np.sort(times) - case.elapsed, 0.0)
    cut, actual = np.minimum(rest, case.look), min(case.remaining, case.look)
    # CRPS of a sample (Gneiting and Raftery, JASA 102 (2007) 359-378, equation 20).
    half_gini = float((cut * (2 * np.arange(DRAWS) + 1 - DRAWS)).sum()) / DRAWS**2
    crps = float(np.abs(cut - actual).mean()) - half_gini
    dates = np.quantile(rest, LEVELS, method="inverted_cdf")
    ends = np.minimum(dates, case.look)
    loss = np.maximum(LEVELS * (actual - ends), (LEVELS - 1) * (actual - ends))
    # A day of grace for rounding: dates are whole days.
    reached = np.where(dates <= case.look, case.remaining <= dates + DAY / 2, math.nan)
    middle = abs(actual - float(ends[2]))
    return Score(case.site, crps / MONTH, middle / MONTH, float(loss.mean()) / MONTH, reached)


def drawn_anew(scores: list[list[Score]], draws: int = 500) -> list[list[list[Score]]]:
    """Bootstrap: sites drawn anew, each with all its cut-offs, alike for every method."""
    random = np.random.default_rng(1)
    names = sorted({item.site for item in scores[0]})
    groups = [{name: [i for i in rows if i.site == name] for name in names} for rows in scores]
    found = []
    for _ in range(draws):
        chosen = random.choice(names, len(names))
        found.append([[item for name in chosen for item in group[name]] for group in groups])
    return found


def share(scores: list[Score], level: int) -> float:
    """Share finished by the date of a probability, of those of which it is known."""
    known = [item.reached[level] for item in scores if not math.isnan(item.reached[level])]
    return float(np.mean(known)) if known else math.nan


def mean_crps(scores: list[Score]) -> float:
    """Mean continuous ranked probability score, months."""
    return float(np.mean([item.crps for item in scores]))


def backtest(sites: list[Site]) -> dict[str, list[Score]]:
    """Scores of every method at every cut-off."""
    found: dict[str, list[Score]] = {name: [] for name in METHODS}
    for cut in CUTS:
        young, old = seen_by(sites, cut, "2023"), seen_by(sites, cut, "2018")
        if young.finished.sum() < ENOUGH:
            young = old
        for case in cases(sites, cut):
            for name, forecast in METHODS.items():
                found[name].append(score(case, forecast(case, young, old)))
    return found


def report_backtest(sites: list[Site]) -> None:
    """The table of the back-test on standard output."""
    found = backtest(sites)
    plan = found["plan by rule"]
    say(f"{len(plan)} forecasts of {len({i.site for i in plan})} sites at {len(CUTS)} cut-offs\n")
    say("| forecast | CRPS | less than the plan's | P50 off by | pinball | P20 | P50 | P80 | P90 |")
    say("|---|---|---|---|---|---|---|---|---|")
    for name, scores in found.items():
        gains = [mean_crps(a) - mean_crps(b) for a, b in drawn_anew([plan, scores])]
        low, high = np.quantile(gains, (0.05, 0.95))
        error, loss = np.mean([(item.error, item.pinball) for item in scores], axis=0)
        cells = [
            f"{100 * share(scores, level):.0f} % of {count}" if count else "none"
            for level in (1, 2, 3, 4)
            for count in [sum(not math.isnan(item.reached[level]) for item in scores)]
        ]
        say(
            f"| {name} | {mean_crps(scores):.2f} | {low:.2f} to {high:.2f} | {error:.2f} | "
            f"{loss:.2f} | {' | '.join(cells)} |"
        )
    shares = [share(rows[0], 3) for rows in drawn_anew([found[CHOSEN]])]
    low, high = np.nanquantile(shares, (0.05, 0.95))
    say(f"\n{CHOSEN}: P80 covers {100 * share(found[CHOSEN], 3):.0f} %, ")
    say(f"90 % interval {100 * low:.0f} to {100 * high:.0f} (sites drawn anew)")


def report_announced(sites: list[Site]) -> None:
    """Announced dates against forecasts made on the day of the announcement."""
    last = parse_date(SNAPSHOT)
    by_name = {site.name: site for site in sites}
    errors: list[tuple[float, float, float]] = []
    kept, covered = 0, 0
    say("| site | forecast on | announced | first power | announced | class | both |")
    say("|---|---|---|---|---|---|---|")
    with ANNOUNCED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        site = by_name[row["site"]]
        cut = max(row["announced"], iso(parse_date(site.start) + DAY))
        start, now = parse_date(site.start), parse_date(cut)
        begin, end = max(parse_date(row["from"]), now), parse_date(row["to"])
        promised = (begin + end) / 2
        actual = min(parse_date(site.end) if site.end else last, last)
        view = outside_view(seen_by(sites, cut, "2018"), "weibull")
        # The announcement as an inside view: anywhere in the period that it names.
        inside = begin - start + RANKS * (end - begin)
        both = combined(inside, view, 0.5, now - start)
        dates = (
            promised,
            start + float(view.quantile(0.5, now - start)),
            start + float(np.median(both)),
        )
        # Of a site not finished only too early a date is known to be wrong, and by how much at
        # least.
        wrong = [(date if site.end else min(date, last)) - actual for date in dates]
        errors.append((wrong[0], wrong[1], wrong[2]))
        finished = parse_date(site.end) if site.end else math.inf
        kept += finished <= end
        covered += finished <= start + float(np.quantile(both, 0.8))
        cells = " | ".join(f"{error / MONTH:+.1f}" for error in wrong)
        say(f"| {row['site']} | {cut} | {iso(promised)} | {site.end or 'not yet'} | {cells} |")
    means = " | ".join(f"{mean:.1f}" for mean in np.abs(errors).mean(axis=0) / MONTH)
    say(f"| mean absolute error, months | | | | {means} |")
    say(f"\nfirst power by the last day announced: {kept} of {len(rows)}; ")
    say(f"by P80 of both views: {covered} of {len(rows)}")


def say(line: str) -> None:
    """Write one line."""
    sys.stdout.write(line + "\n")


def main() -> int:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sites", "backtest", "announced"))
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    sites = read(options.data)
    if options.what == "sites":
        write_sites(sites)
    elif options.what == "backtest":
        report_backtest(sites)
    else:
        report_announced(sites)
    return 0


if __name__ == "__main__":
    sys.exit(main())
