"""What of all that may happen at a step does happen there, so that the engine asks only once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.line import system

Flags = npt.NDArray[Any]


def what_steps_do(tables: system.Tables) -> Flags:
    """Return the bits of each step, see :mod:`firsttoken.line.system`, shape [steps]."""
    step, station = tables.step, tables.station[tables.step["station"]]
    more = np.maximum.reduce([step[name] for name in ("load", "unload", "tasks")])
    tested = np.maximum.reduce([step[name] for name in ("pass_", "inspect", "defects")])
    kept = np.maximum(step["mark"], step["tool_put"])
    loads = tables.family["batch_max"][step["family"]] > 0
    seizes = step["needs"] + step["holds"] + step["parts"] > 0
    bits = {
        system.SEIZES: seizes | loads,
        system.LOADS: loads,
        system.OVERLAPS: np.isin(step["station"], step["station"][step["interval"] >= 0]),
        system.SETS_UP: station["setup"] >= 0,
        system.TAKES_MORE: (step["time"] < 0) | (step["per_piece"] != 0) | (more >= 0),
        system.FAILS: tested >= 0,
        system.WEARS: _any(station, "failure", tables.failure["clock"] == system.BY_WORK),
        system.CASCADES: step["interval"] >= 0,
        system.COUNTS: _any(station, "maintenance", tables.maintenance["clock"] != system.BY_TIME),
        system.LEAVES: (step["gives"] + step["makes"] > 0) | (kept >= 0),
        system.BRANCHES: step["branches"] > 0,
        system.SKIPS: step["share"] >= 0,
        system.MOVES: step["transport"] >= 0,
        system.LIMITED: station["buffer"] >= 0,
        system.HURRIES: step["limit_mark"] >= 0,
    }
    return sum((holds * bit for bit, holds in bits.items()), np.zeros(len(step), np.int32))


def plain_stations(tables: system.Tables) -> Flags:
    """Return of each station whether an idle server is all its next lot needs, shape [stations].

    So it is where lots are taken in a fixed order, one at a time, need nothing else, are not sent
    away, and where no set-up keeps a server from taking one.
    """
    station, step, family = tables.station, tables.step, tables.family
    set_up = (station["setup"] >= 0) & (station["rule"] == system.SETUP)
    plain = ~np.isin(station["rule"], (system.CR, system.USER)) & ~set_up
    plain[family["station"][(family["batch_max"] > 0) | (family["min_run"] > 0)]] = False
    sent = (step["limit_mark"] >= 0) & (step["limit_to"] != system.COUNT)
    needs = step["needs"] + step["holds"] + step["parts"] > 0
    plain[step["station"][sent | needs]] = False
    one = (station["families"] == 1) & (station["tools"] == 0)
    return np.where(plain, np.where(one, system.ONE_QUEUE, system.PLAIN), system.GENERAL)


def _any(station: Flags, name: str, holds: Flags) -> Flags:
    """Tell of stations whether something holds for one of their rows of another table."""
    before = np.concatenate([[0], np.cumsum(holds)])
    first, count = np.maximum(station[name], 0), station[name + "s"]
    found: Flags = before[first + count] > before[first]
    return found
