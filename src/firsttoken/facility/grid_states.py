"""What a site answers to the grid's events: power states and breaches, as DSX Flex messages.

From the power of the feeds in every step of the first replication.  A power state
(`grid.powerstate.status.v1`) is sent when targets are set, when power begins and has ceased to move
towards one; a breach alert (`grid.powerbreach.alert.v1`) when a feed takes more than its target:
warning up to 20 % more, critical beyond (NVIDIA DSX Exchange, schema DSX Flex 1.7.0).
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.grid_events import LoadTarget, timeline
from firsttoken.facility.grid_targets import CRITICAL, THRESHOLD

Floats = NDArray[np.float64]

STATUS: Final = "grid.powerstate.status.v1"
BREACH: Final = "grid.powerbreach.alert.v1"
ACTIONS: Final = ("SHUTDOWN_NODES", "SHUTDOWN_RACKS")
"""What may follow a breach, the least first; a critical one may need both."""


@dataclass(frozen=True)
class Feed:
    """One feed with targets.

    Attributes
    ----------
    most, usual : W that it may take at most, and without a target.
    sheds : groups of racks with the order in which they give up power, the first first.
    load, level : W taken and allowed in each step; inf: no target, shape [T].
    """

    name: str
    most: float
    usual: float
    sheds: tuple[tuple[str, int], ...]
    load: Floats
    level: Floats


@dataclass(frozen=True)
class Message:
    """One message for one feed; a status tells of all feeds, and stands once for each that moves.

    Attributes
    ----------
    time : s from the twin's start.
    event : of a status what caused it, of a breach where it stands.
    severity : of a breach; empty: of a status.
    load, target : W; target inf: none.
    """

    time: float
    kind: str
    feed: str
    event: str
    severity: str
    load: float
    target: float
    compliant: bool
    breach: int = 0
    since: float = math.nan


def is_kept(load: float, level: float) -> bool:
    """Whether a load is within its target."""
    return load <= level * (1.0 + THRESHOLD)


def severity_of(load: float, level: float) -> str:
    """`warning` up to 20 % above a target, `critical` beyond."""
    return "critical" if load > level * (1.0 + CRITICAL) else "warning"


def statuses(feed: Feed, targets: tuple[LoadTarget, ...], step: float) -> Iterator[Message]:
    """Power states that a feed causes, in order of time."""
    received = sorted({target.received for target in targets if target.feed == feed.name})
    horizon = step * len(feed.load)

    def message(time: float, event: str, i: int, before: int = 0) -> Message:
        load, level = float(feed.load[max(i - before, 0)]), float(feed.level[i])
        kept = is_kept(load, level)
        return Message(time, STATUS, feed.name, event, "", load, level, kept)

    for time in received:
        if 0.0 <= time < horizon:
            yield message(time, "target_set", int(time / step))
    before, falling = math.inf, False
    for i, level in enumerate(feed.level):
        if level < before:
            yield message(i * step, "start_ramp_down", i, 1)
            falling = True
        elif level > before:
            yield message(i * step, "start_ramp_up", i, 1)
            yield message((i + 1) * step, "end_ramp_up", i)
            falling = False
        if falling and is_kept(float(feed.load[i]), float(level)):
            yield message((i + 1) * step, "end_ramp_down", i)
            falling = False
        before = float(level)


def breaches(feed: Feed, step: float) -> Iterator[Message]:
    """Breach alerts of a feed, in order of time: active, escalated, resolved."""
    number, since, severity = 0, math.nan, ""

    def message(i: int, event: str) -> Message:
        load, level = float(feed.load[i]), float(feed.level[i])
        return Message(
            (i + 1) * step, BREACH, feed.name, event, severity, load, level,
            event == "resolved", number, since,
        )  # fmt: skip

    for i, (load, level) in enumerate(zip(feed.load, feed.level, strict=True)):
        if is_kept(float(load), float(level)):
            if severity:
                yield message(i, "resolved")
            severity = ""
            continue
        found = severity_of(float(load), float(level))
        if not severity:
            number, since, severity = number + 1, (i + 1) * step, found
            yield message(i, "active")
        elif found == "critical" and severity == "warning":
            severity = found
            yield message(i, "escalated")


class Speaker:
    """Writes messages as CloudEvents.

    Parameters
    ----------
    site, scenario : name of the agent; identifiers follow from both, so runs are reproducible.
    epoch : s from 1970-01-01 in UTC at the twin's start.
    """

    def __init__(
        self,
        site: str,
        scenario: str,
        epoch: float,
        targets: tuple[LoadTarget, ...],
        feeds: tuple[Feed, ...],
        step: float,
    ) -> None:
        self.site, self.scenario, self.epoch, self.step = site, scenario, epoch, step
        self.targets, self.feeds = targets, {feed.name: feed for feed in feeds}
        self.times = {feed.name: timeline(targets, feed.name) for feed in feeds}

    def text(self, messages: list[Message]) -> str:
        """One message as JSON: a breach, or the power state of all feeds at one time."""
        first = messages[0]
        data = self._breach(first) if first.kind == BREACH else self._state(messages)
        subject = "powerbreach" if first.kind == BREACH else "powerstate"
        key = f"{first.kind} {first.time} {first.feed} {first.event}"
        found = {
            "specversion": "1.0.2",
            "id": self._identifier(key),
            "source": f"//grid/v1/dsx-flex-agent/{self.site}",
            "type": first.kind,
            "time": self._time(first.time),
            "datacontenttype": "application/json",
            "subject": subject,
            "traceparent": f"00-{self._digest(key)[:32]}-{self._digest(key)[32:48]}-01",
            "data": data,
        }
        return json.dumps(found, separators=(",", ":"))

    def _digest(self, key: str) -> str:
        whole = f"{self.site}|{self.scenario}|{key}"
        return hashlib.sha256(whole.encode()).hexdigest()

    def _identifier(self, key: str) -> str:
        return str(uuid.UUID(bytes=bytes.fromhex(self._digest(key))[:16], version=4))

    def _time(self, seconds: float) -> str:
        moment = datetime.fromtimestamp(self.epoch + seconds, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _state(self, messages: list[Message]) -> dict[str, Any]:
        time = messages[0].time
        moved = {message.feed: message for message in messages}
        feeds = {name: self._feed(feed, time, moved.get(name)) for name, feed in self.feeds.items()}
        return {"snapshot_time": self._time(time), "feeds": feeds}

    def _feed(self, feed: Feed, time: float, message: Message | None) -> dict[str, Any]:
        i = min(max(int(time / self.step - 1e-9), 0), len(feed.load) - 1)
        load = float(feed.load[i]) if message is None else message.load
        level = float(feed.level[i]) if message is None else message.target
        state: dict[str, Any] = {
            "metadata": {
                "power_minimum": _power(0.0),
                "power_maximum": _power(feed.most),
                "default_constraint": _power(feed.usual),
            },
            "targets": self._known(feed, time),
            "calculated_load": _power(load),
            "in_flight": message is not None and message.event.startswith("start"),
            "event": "periodic" if message is None else message.event,
            "compliant": is_kept(load, level) if message is None else message.compliant,
        }
        current = self._target_at(feed, time)
        if current is not None:
            state["power_event_start_time"] = self._time(current.begin)
        return state

    def _known(self, feed: Feed, time: float) -> list[dict[str, Any]]:
        """Targets of a feed, in force and to come, as they are known at a time."""
        found = []
        for part in timeline([t for t in self.targets if t.received <= time], feed.name):
            if part.target is None or part.end <= time:
                continue
            interval = {"start_time": self._time(part.begin)}
            if part.end < math.inf:
                interval["end_time"] = self._time(part.end)
            found.append(
                {
                    "active": part.begin <= time,
                    "load_constraint": _power(part.target.power),
                    "interval": interval,
                    "strategy": {"best_effort": part.target.best_effort},
                    "correlation_id": part.target.correlation,
                }
            )
        return found

    def _target_at(self, feed: Feed, time: float) -> LoadTarget | None:
        for part in self.times[feed.name]:
            if part.begin <= time < part.end:
                return part.target
        return None

    def _broken(self, feed: Feed, end: float) -> LoadTarget:
        """The lowest target of the step that ends at `end`."""
        inside = [
            part.target
            for part in self.times[feed.name]
            if part.target is not None and part.begin < end and part.end > end - self.step
        ]
        return min(inside, key=lambda target: target.power)

    def _breach(self, message: Message) -> dict[str, Any]:
        feed, over = self.feeds[message.feed], message.event == "resolved"
        broken = self._broken(feed, message.since)
        details = {
            "breach_id": self._identifier(f"breach {message.feed} {message.breach}"),
            "detected_at": self._time(message.since),
        }
        found: dict[str, Any] = {
            "feed_tag": message.feed,
            "status": message.event,
            "severity": message.severity,
            "breach": details | ({"resolved_at": self._time(message.time)} if over else {}),
            "target": {
                "correlation_id": broken.correlation,
                "load_constraint": _power(broken.power),
            },
            "measured_load": _power(message.load),
            "infrastructure_actions": [],
        }
        if not over:
            found["shed_hints"] = [
                {"resource_id": name, "resource_type": "chassis", "action": "throttle",
                 "priority": order}
                for name, order in feed.sheds
            ]  # fmt: skip
            count = 2 if message.severity == "critical" else 1
            found["infrastructure_actions"] = list(ACTIONS[:count])
        return found


def _power(watts: float) -> dict[str, Any]:
    return {"value": round(watts / 1e3, 3), "unit": "kilowatt"}
