"""Grid events: DSX Flex messages that tell feeds how much they may take, and when.

The messages are CloudEvents 1.0.2 of type `grid.loadtarget.set.v1` (NVIDIA DSX Exchange, schema DSX
Flex 1.7.0): a JSON list, or one JSON object after the other.  A later message replaces what an
earlier one said about the same time; a target of null gives the feed back what it may take
otherwise.  The payload may be signed (JWS); its signature is not verified.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from firsttoken.facility.time_files import read_text, report
from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.slots import nearest

LOAD_TARGET: Final = "grid.loadtarget.set.v1"
OTHERS: Final = (
    "grid.powerstate.status.v1",
    "grid.powerbreach.alert.v1",
    "grid.powerbreach.enforcement.v1",
)
"""Types that a site says rather than hears."""
UNITS: Final[Mapping[str, float]] = {"watt": 1.0, "kilowatt": 1e3, "megawatt": 1e6}
_REQUIRED: Final = (
    *("specversion", "id", "source", "type", "time", "datacontenttype", "subject", "traceparent"),
    "data",
)


@dataclass(frozen=True)
class LoadTarget:
    """One target of one feed.

    Attributes
    ----------
    feed : group under `feeds`.
    begin, end : s from the twin's start; an end may be infinite.
    received : when the message was sent, s from the twin's start.
    power : W; infinite: none, the feed takes what it may otherwise.
    best_effort : racks are not cut below idle.
    correlation : identifier that answers carry.
    """

    feed: str
    begin: float
    end: float
    received: float
    power: float
    best_effort: bool
    correlation: str


@dataclass(frozen=True)
class GridEvents:
    """All events of a site, and what its answers need to know.

    Attributes
    ----------
    targets : in the order in which they were sent.
    utc_offset : site's clock minus UTC, s.
    most, usual : W that each feed may take at most (inf: not known), and without a target.
    sheds : groups of racks with the order in which they give up power, the first first.
    """

    targets: tuple[LoadTarget, ...]
    utc_offset: float
    most: Mapping[str, float]
    usual: Mapping[str, float]
    sheds: tuple[tuple[str, int], ...]

    @property
    def feeds(self) -> tuple[str, ...]:
        """Feeds with targets."""
        return tuple(dict.fromkeys(target.feed for target in self.targets))


@dataclass(frozen=True)
class Segment:
    """A time of a feed in which one target, or none, is in force."""

    begin: float
    end: float
    target: LoadTarget | None


class EventReader:
    """Reads a file of events.

    Parameters
    ----------
    start : twin's start in seconds from 1970-01-01 by the site's clock.
    utc_offset : site's clock minus UTC in s; None: not known.
    feeds : names of the feeds.
    at : path of the field that names the file.
    """

    def __init__(
        self,
        path: Path,
        start: float,
        utc_offset: float | None,
        feeds: Sequence[str],
        findings: Findings,
        at: str,
    ) -> None:
        self.path, self.start, self.feeds = path, start, list(feeds)
        self.offset, self.findings, self.at = utc_offset, findings, at
        self.line = 1

    def read(self) -> list[LoadTarget]:
        """All targets, in the order in which their messages were sent."""
        text = read_text(self.path, self.findings, self.at)
        if text is None:
            return []
        if self.offset is None:
            what, why = "events are in UTC, and the site's clock is not known", ""
            self.say(what, why, "give the site's utc_offset: -6 hour")
            return []
        found: list[LoadTarget] = []
        messages = 0
        for line, message in self._documents(text):
            self.line = line
            messages += 1
            found += self._targets(message)
        if not messages and not self.findings.errors:
            self.say("the file holds no event", "", "write messages as JSON, one after the other")
        return sorted(found, key=lambda target: target.received)

    def say(self, what: str, why: str = "", hint: str = "") -> None:
        """Add an error at the present line."""
        report(self.findings, self.path, self.line, what, why, hint, self.at)

    def _documents(self, text: str) -> Iterator[tuple[int, Any]]:
        """(line, value) of each JSON value of a list, or of one after the other."""
        decoder = json.JSONDecoder()
        at, depth, line, counted = 0, 0, 1, 0
        while True:
            while at < len(text) and (text[at].isspace() or text[at] in ",[]"):
                depth += (text[at] == "[") - (text[at] == "]")
                at += 1
            if at >= len(text):
                break
            line += text.count("\n", counted, at)
            counted = at
            try:
                value, at = decoder.raw_decode(text, at)
            except json.JSONDecodeError as error:
                self.line = error.lineno
                self.say(f"this is not JSON: {error.msg}", "", "write one JSON object an event")
                return
            yield line, value
        if depth:
            self.line = text.count("\n") + 1
            self.say("the list of events does not end", "", "close it with ]")

    def _targets(self, message: Any) -> list[LoadTarget]:
        """The targets of one message; findings for what is wrong with it."""
        before = len(self.findings.errors)
        if not isinstance(message, dict):
            self.say("an event is a JSON object", "", "write {...} with the fields of CloudEvents")
            return []
        kind = message.get("type")
        if kind in OTHERS:
            self._left_out(str(kind))
            return []
        missing = [name for name in _REQUIRED if name not in message]
        if missing:
            hint = f"a message has {', '.join(_REQUIRED)}"
            self.say(f"the event has no {', '.join(missing)}", "CloudEvents 1.0.2", hint)
            return []
        if kind != LOAD_TARGET:
            self.say(f"{kind!r} is no event that a site hears", "", f"it hears {LOAD_TARGET}")
            return []
        self._check_envelope(message)
        received = self._moment(message["time"], "time")
        data = self._payload(message["data"])
        targets = data.get("targets") if isinstance(data, dict) else None
        if data is not None and (not isinstance(targets, list) or not targets):
            self.say("data has no targets", "", "write targets: [{interval, load_constraint}]")
        if len(self.findings.errors) > before or received is None or not isinstance(targets, list):
            return []
        known = str(message.get("correlationid", message["id"]))
        found = [
            target for each in targets for target in self._target(each, received, known)
        ]  # fmt: skip
        return found if len(self.findings.errors) == before else []

    def _left_out(self, kind: str) -> None:
        place = Place(str(self.path), self.line)
        what, why = f"{kind} is left out", "it is what a site says, not what it hears"
        hint = f"keep messages of type {LOAD_TARGET} only"
        self.findings.add(Finding(what, why, hint, self.at, "event", "warning", place))

    def _check_envelope(self, message: Mapping[str, Any]) -> None:
        if not str(message["specversion"]).startswith("1.0"):
            version = message["specversion"]
            self.say(f"specversion {version!r} is not known", "", "events are CloudEvents 1.0.2")
        for name in ("id", "correlationid"):
            try:
                if name in message:
                    uuid.UUID(str(message[name]))
            except ValueError:
                self.say(f"{name} {message[name]!r} is no UUID", "", "write a UUIDv4")

    def _payload(self, data: Any) -> Any:
        """The payload, taken out of its signature."""
        if not isinstance(data, str):
            return data
        parts = data.split(".")
        try:
            if len(parts) != 3:
                raise ValueError("it does not consist of three parts")
            padded = parts[1] + "=" * (-len(parts[1]) % 4)
            return json.loads(base64.urlsafe_b64decode(padded))
        except (ValueError, binascii.Error) as error:
            hint = "data is an object, or header.payload.signature in base64url (RFC 7515)"
            self.say(f"data cannot be read: {error}", "", hint)
            return None

    def _target(self, given: Any, received: float, correlation: str) -> list[LoadTarget]:
        """A target for each of its feeds."""
        if not isinstance(given, dict):
            self.say("a target is a JSON object", "", "write {interval, load_constraint}")
            return []
        for name in ("interval", "load_constraint"):
            if name not in given:
                self.say(f"a target has no {name}", "", "null as load_constraint removes a target")
                return []
        span = self._interval(given["interval"], received)
        power = self._power(given["load_constraint"])
        feeds = self._feeds(given.get("feed_tags"))
        gentle = self._strategy(given.get("strategy"))
        if span is None or power is None:
            return []
        begin, end = max(span[0], received), span[1]
        return [
            LoadTarget(feed, begin, end, received, power, gentle, correlation)
            for feed in feeds
            if end > begin
        ]

    def _interval(self, given: Any, received: float) -> tuple[float, float] | None:
        if not isinstance(given, dict):
            self.say("interval is a JSON object", "", "write {start_time, end_time}, or {}")
            return None
        begin: float | None = received
        end: float | None = math.inf
        if given.get("start_time") is not None:
            begin = self._moment(given["start_time"], "start_time")
        if given.get("end_time") is not None:
            end = self._moment(given["end_time"], "end_time")
        if begin is None or end is None:
            return None
        if end <= begin:
            self.say("the interval ends where it begins, or before", "", "exchange its times")
            return None
        return begin, end

    def _moment(self, text: Any, name: str) -> float | None:
        """Seconds from the twin's start of an ISO 8601 time with its offset from UTC."""
        try:
            moment = datetime.fromisoformat(str(text))
            if moment.tzinfo is None:
                raise ValueError("it does not say its offset from UTC")
        except ValueError as error:
            hint = "write 2026-07-01T14:00:00Z"
            self.say(f"{name} {text!r} is no time", str(error), hint)
            return None
        assert self.offset is not None
        return moment.timestamp() + self.offset - self.start

    def _power(self, given: Any) -> float | None:
        if given is None:
            return math.inf
        pair = given if isinstance(given, dict) else {}
        value, unit = pair.get("value"), str(pair.get("unit"))
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
            hint = "write {value: 20, unit: megawatt}, or null"
            self.say(f"load_constraint {given!r} is no power", "its value is at least 0", hint)
            return None
        if unit not in UNITS:
            self.say(f"{unit!r} is no unit of power", "", f"there are {', '.join(UNITS)}")
            return None
        return float(value) * UNITS[unit]

    def _feeds(self, tags: Any) -> list[str]:
        if tags is None or tags == []:
            return self.feeds
        if not isinstance(tags, list):
            self.say("feed_tags is a list of names", "", "write [main-a], or leave it out")
            return []
        for tag in tags:
            if tag not in self.feeds:
                hint = nearest(str(tag), self.feeds) or "feed_tags name groups under `feeds`"
                self.say(f"feed {tag!r} is unknown", "", hint)
        return [tag for tag in self.feeds if tag in tags]

    def _strategy(self, given: Any) -> bool:
        gentle = given.get("best_effort", False) if isinstance(given, dict) else given or False
        if not isinstance(gentle, bool):
            self.say(f"strategy {given!r} is not known", "", "write {best_effort: true}")
            return False
        return gentle


def timeline(targets: Sequence[LoadTarget], feed: str) -> list[Segment]:
    """Segments of a feed from -infinity on, in order; what was sent later holds.

    Parameters
    ----------
    targets : in the order in which they were sent.
    """
    own = [target for target in targets if target.feed == feed]
    edges = sorted({-math.inf, *(t.begin for t in own), *(t.end for t in own)} - {math.inf})
    found: list[Segment] = []
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        inside = [target for target in own if target.begin <= low < target.end]
        target = inside[-1] if inside and inside[-1].power < math.inf else None
        if found and found[-1].target is target:
            found[-1] = Segment(found[-1].begin, high, target)
        else:
            found.append(Segment(low, high, target))
    return found
