"""What limits a line, in sentences: a budget, a crew, a component, a station, a buffer, releases.

Shares of time are means over replications and servers.  A station's own *load* is the share of
its open time in which it works, is set up, maintained or repaired; time in which it is starved,
blocked or short of something belongs to whatever it waits for.  Where inputs are uncertain, one
thing binds in one future and another in the next; so each replication is judged by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.line import result, system
from firsttoken.line.kpi import Kpis, state_shares
from firsttoken.line.kpi_rows import WEEK, Floats, amount, figure, mean, percent, ratio
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.units import plural

FULL = 0.95
"""Load from which a station counts as used up."""
WAITING = 0.5
"""Share of time in which work waits for something, from which that counts as the limit."""
LONGEST = 0.5
"""Share of time with the longest active period from which a station counts as the bottleneck."""
_MOST_FUTURES = 0.5
_NOTABLE = 0.01
_RARE = 0.05
_BLOCKED = 0.05
_PILED = 0.03
_MOST_STATIONS = 3


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that may limit the line.

    Attributes
    ----------
    kind : pool, budget, component, station, buffer, release, or wip (limit on lots in the line).
    share : share of time in which work waited for it; of a station its load; of a buffer the
        share in which the station before it is blocked; of releases 1 less the highest load.
    futures : share of the replications in which it limits the line: those in which work waits for
        it half of the time, or in which the station's load is 95 %.
    binds : whether it sets the pace of the line, in half of the replications at least.
    """

    kind: str
    name: str
    share: float
    futures: float
    sentence: str

    @property
    def binds(self) -> bool:
        """Whether it sets the pace of the line."""
        return self.futures >= _MOST_FUTURES


def binding_table(kpis: Kpis) -> ResultTable:
    """What limits the line, the strongest first, each in a sentence."""
    rows = kpis.rows(
        "line_binding",
        "What limits each line, the strongest first: `binds` if it sets the pace.",
        ("kind", "name"),
        *("rank", "share", "futures", "binds", "sentence"),
    )
    for rank, limit in enumerate(limits(kpis), 1):
        kpis.add(
            rows,
            kind=limit.kind,
            name=limit.name,
            rank=rank,
            share=limit.share,
            futures=limit.futures,
            binds=limit.binds,
            sentence=kpis.prefix + limit.sentence,
        )
    return rows.table()


def limits(kpis: Kpis) -> list[Limit]:
    """All that may limit the line: what binds in most futures first, then by share."""
    loads = station_loads(kpis)
    found = _pools(kpis) + _components(kpis) + _stations(kpis, loads) + _buffers(kpis)
    paced = _releases(kpis, loads)
    if paced is not None:
        found.append(paced)
    found.sort(key=lambda limit: (-round(limit.futures, 2), -limit.share))
    return found


def station_loads(kpis: Kpis) -> Floats:
    """Load of each station, [R, S]; 0 if it is never open."""
    time = kpis.result.state_time
    busy = (result.WORKING, result.SETUP, result.DOWN, result.MAINTENANCE)
    opened = time.sum(axis=2) - time[:, :, result.CLOSED]
    return ratio(time[:, :, busy].sum(axis=2), opened, 0.0)


def _in_futures(often: float) -> str:
    """In how many futures something limits the line, unless that is all or hardly any."""
    if often < _RARE or often > 1 - _RARE:
        return ""
    return f"; it is the limit in {percent(often)} of the futures"


def _pools(kpis: Kpis) -> list[Limit]:
    found, tables = kpis.result, kpis.system.tables
    short, used, level = mean(found.pool_short), mean(found.pool_used), mean(found.pool_level)
    limits = []
    for n, pool in enumerate(kpis.names.pools):
        if short[n] < _NOTABLE:
            continue
        budget = bool(tables.pool["budget"][n])
        unit = kpis.names.pool_units[n]
        of = f"{amount(used[n], unit)} of {amount(level[n], unit)} are in use on average"
        if used[n] > level[n]:  # work in hand keeps its people when their shift ends
            of = "all are in use on average, some beyond their shift"
        place = _where_short(kpis, n)
        often = float((found.pool_short[:, n] >= WAITING).mean())
        binds = often >= _MOST_FUTURES
        head = f"{pool} is the limit: work" if binds else "work"
        tail = "it" if binds else pool
        sentence = f"{head} waits for {tail} {percent(short[n])} of the time{place}; {of}"
        sentence += _in_futures(often)
        kind = "budget" if budget else "pool"
        limits.append(Limit(kind, pool, float(short[n]), often, _sentence(sentence, binds)))
    return limits


def _sentence(text: str, named: bool) -> str:
    """A sentence with a full stop; a name at its head keeps its letters."""
    return f"{text if named else text[:1].upper() + text[1:]}."


def _where_short(kpis: Kpis, pool: int) -> str:
    """The station that is short most, of those that need the pool: `, mostly at burn_in`."""
    tables = kpis.system.tables
    users: set[int] = set()
    for step in tables.step:
        needs = tables.need[step["need"] : step["need"] + step["needs"]] if step["needs"] else ()
        for need in needs:
            first = need["pool"]
            if pool in tables.alternative["pool"][first : first + need["pools"]]:
                users.add(int(step["station"]))
        holds = tables.hold[step["hold"] : step["hold"] + step["holds"]] if step["holds"] else ()
        if any(hold["pool"] == pool for hold in holds):
            users.add(int(step["station"]))
    short = mean(state_shares(kpis))[:, result.SHORT]
    best = max(sorted(users), key=lambda s: short[s], default=None)
    if best is None or short[best] < _NOTABLE:
        return ""
    word = "mostly " if len(users) > 1 else ""
    return f", {word}at {kpis.names.stations[best]}"


def _components(kpis: Kpis) -> list[Limit]:
    short = mean(kpis.result.product_short)
    made = set(kpis.product.tolist())
    limits = []
    for p, product in enumerate(kpis.names.products):
        if short[p] < _NOTABLE:
            continue
        often = float((kpis.result.product_short[:, p] >= WAITING).mean())
        binds = often >= _MOST_FUTURES
        source = "it is made on this line" if p in made else "it comes from elsewhere"
        head = f"{product} is the limit: assembly waits for it" if binds else (
            f"assembly waits for {product}"
        )  # fmt: skip
        sentence = f"{head} {percent(short[p])} of the time; {source}{_in_futures(often)}"
        limits.append(
            Limit("component", product, float(short[p]), often, _sentence(sentence, binds))
        )
    return limits


def _stations(kpis: Kpis, loads: Floats) -> list[Limit]:
    found = kpis.result
    active, queue = mean(found.active_bottleneck), mean(found.queue)
    servers = mean(found.state_time.sum(axis=2))
    limits = []
    often, loads = (loads >= FULL).mean(axis=0), loads.mean(axis=0)
    busiest = sorted(range(len(loads)), key=lambda s: (-loads[s], -active[s]))[:_MOST_STATIONS]
    longest = int(np.argmax(active)) if active.size and active.max() >= LONGEST else -1
    for s in dict.fromkeys([*busiest, *([longest] if longest >= 0 else [])]):
        binds = bool(often[s] >= _MOST_FUTURES)
        if often[s] < _RARE and s != busiest[0] and s != longest:
            continue
        name, count = kpis.names.stations[s], round(float(servers[s]))
        its = "its server is" if count == 1 else f"its {count} servers are"
        role = "is the limit" if binds else "is the busiest station"
        if not binds and s != busiest[0]:
            role = "is a busy station"
        if not binds and s == longest and s != busiest[0]:
            role = "has the longest active periods"
        head = f"{name} {role}: {its} busy {percent(loads[s])} of the open time"
        sentence = f"{head}{_busy_with(kpis, s)}; {_waiting(queue[s])}"
        if active[s] >= LONGEST:
            sentence += f"; it has the longest active period {percent(active[s])} of the time"
        sentence += _in_futures(float(often[s]))
        found_one = Limit("station", name, float(loads[s]), float(often[s]), f"{sentence}.")
        limits.append(found_one)
    return limits


def _waiting(queue: float) -> str:
    if queue < 0.05:
        return "no lot waits for it"
    return f"{figure(float(queue))} lots wait there on average"


def _busy_with(kpis: Kpis, station: int) -> str:
    """What besides work takes five per cent or more: ` (7 % of it down)`."""
    time = mean(kpis.result.state_time)[station]
    opened = time.sum() - time[result.CLOSED]
    words = {result.SETUP: "in set-up", result.DOWN: "down", result.MAINTENANCE: "in maintenance"}
    parts = [
        f"{percent(time[state] / opened)} {word}"
        for state, word in words.items()
        if opened > 0 and time[state] >= 0.05 * opened
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _buffers(kpis: Kpis) -> list[Limit]:
    """Limited buffers that keep the station before them blocked."""
    steps, stations = kpis.system.tables.step, kpis.system.tables.station
    blocked = mean(state_shares(kpis))[:, result.BLOCKED]
    limits: dict[int, Limit] = {}
    for s in np.argsort(-blocked, kind="stable"):
        if blocked[s] < _BLOCKED:
            break
        after = {
            int(steps["station"][step["next"]])
            for step in steps[steps["station"] == s]
            if step["next"] >= 0
        }
        for other in sorted(after - {int(s)}):
            if stations["buffer"][other] < 0 or other in limits:
                continue
            name, before = kpis.names.stations[other], kpis.names.stations[s]
            room = int(stations["buffer"][other])
            size = "has no buffer" if room == 0 else f"has a buffer of {room}, often full"
            sentence = f"{name} {size}: {before} stands blocked {percent(blocked[s])} of the time."
            limits[other] = Limit("buffer", name, float(blocked[s]), 0.0, sentence)
    return list(limits.values())


def _releases(kpis: Kpis, loads: Floats) -> Limit | None:
    """Releases as what sets the pace, if lots do not pile up and no source is always full.

    They set it in the replications in which nothing else does.
    """
    found = kpis.result
    modes = set(kpis.system.tables.source["mode"].tolist())
    bound = (loads >= FULL).any(axis=1) | (found.pool_short >= WAITING).any(axis=1)
    bound |= (found.product_short >= WAITING).any(axis=1)
    often = float((~bound).mean())
    if often < _RARE or not loads.size or system.BACKLOG in modes or _piles_up(kpis):
        return None
    mean_load = loads.mean(axis=0)
    top = int(np.argmax(mean_load))
    made = float(kpis.shipped(found.finished).mean()) / found.time * WEEK
    unit = plural(kpis.line.unit)
    busy = f"the busiest station, {kpis.names.stations[top]}, is busy {percent(mean_load[top])}"
    kind = "wip" if modes & {system.WIP, system.STOCK} else "release"
    if kind == "wip":
        held = figure(float(mean(kpis.shipped(found.wip))))
        head = f"the limit on lots in the line sets the pace, with {held} {unit} in it on average"
    else:
        head = f"releases set the pace, and the line keeps up: {figure(made)} {unit} a week"
    sentence = f"{head}; {busy} of its open time"
    if often <= 1 - _RARE:
        sentence += f"; so in {percent(often)} of the futures"
    return Limit(kind, "releases", float(1 - mean_load[top]), often, _sentence(sentence, False))


def _piles_up(kpis: Kpis) -> bool:
    """Whether the lots in the line grow in the second half of the time."""
    found = kpis.result
    wip = found.period_wip.sum(axis=2).mean(axis=0)
    done = found.period_finished.sum(axis=2).mean(axis=0)
    middle = len(wip) // 2
    if middle < 1:
        gone = found.finished.sum() + found.scrapped.sum()
        return bool(found.released.sum() - gone > _PILED * max(gone, 1))
    return bool(wip[-1] - wip[middle - 1] > _PILED * max(float(done[middle:].sum()), 1.0))
