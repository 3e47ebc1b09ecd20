"""What happens in a contingency, in a sentence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from firsttoken.facility import power_state
from firsttoken.facility.power_screen import HORIZON, RESULTS, Case, copied, new_work
from firsttoken.facility.power_trips import N_EVENTS, restore, run_contingency

PHRASES = 6
"""Most things that a sentence tells."""

_WORDS = {
    power_state.TRIPPED: ("trips", "trip"),
    power_state.OVERLOADED: ("trips by overload", "trip by overload"),
    power_state.TRANSFERRED: ("transfers", "transfer"),
    power_state.STARTED: ("starts", "start"),
    power_state.EMPTY: ("is empty", "are empty"),
    power_state.LOST: ("is lost", "are lost"),
    power_state.REFUSED: ("does not start", "do not start"),
    power_state.OUT_OF_FUEL: ("is out of fuel", "are out of fuel"),
}


class Happening(NamedTuple):
    """One thing that happens to a unit.

    Attributes
    ----------
    time : s after the trip.
    row : element or load.
    what : one of the events of `power_state`.
    """

    time: float
    row: int
    what: int


class Teller:
    """Runs contingencies one by one and tells what happens."""

    def __init__(self, case: Case, horizon: float = HORIZON) -> None:
        self.case, self.horizon = case, horizon
        self._state, self._work = copied(case.base), new_work(len(case.net.kind))

    def happenings(self, rows: list[int]) -> list[Happening]:
        """Everything that happens when elements trip; at most `power_state.EVENTS`."""
        state, work = self._state, self._work
        tripped, row = np.array(rows, np.int64), np.zeros(RESULTS)
        run_contingency(self.case.net, state, work, tripped, self.horizon, row)
        found = [
            Happening(float(work.event_time[k]), int(work.event_row[k]), int(work.event_what[k]))
            for k in range(int(work.size[N_EVENTS]))
        ]
        restore(self.case.net, self.case.base, state, work)
        return found

    def tell(self, rows: list[int]) -> str:
        """What happens when elements trip, in a sentence."""
        return sentence(self.case, self.happenings(rows))


def sentence(case: Case, events: list[Happening]) -> str:
    """The course of a contingency: `grid trips; 84 of gen_1 start after 10 s; ...`."""
    phrases: list[str] = []
    merged: dict[tuple[str, int, float], list[int]] = {}
    for event in events:
        key = (case.group_name(event.row), event.what, round(event.time, 6))
        merged.setdefault(key, []).append(event.row)
    for (group, what, time), rows in merged.items():
        one, many = _WORDS[what]
        subject = case.name(rows[0]) if len(rows) == 1 else f"{len(rows)} of {group}"
        after = f" after {duration(time)}" if time > 0.0 else ""
        phrases.append(f"{subject} {one if len(rows) == 1 else many}{after}")
    if len(phrases) > PHRASES:
        rest = len(phrases) - PHRASES + 1
        phrases = [*phrases[: PHRASES - 2], f"{rest} more things happen", phrases[-1]]
    return "; ".join(phrases)


def duration(seconds: float) -> str:
    """A time as a person says it: 20 ms, 10.2 s, 5.3 min, 4.1 h."""
    for limit, unit, size in ((1.0, "ms", 1e-3), (120.0, "s", 1.0), (7200.0, "min", 60.0)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"
