"""Results of grid events as named tables: how targets were kept, and the messages about it."""

from __future__ import annotations

import math
from itertools import groupby

from firsttoken.facility.grid_states import (
    BREACH,
    Feed,
    Floats,
    Message,
    Speaker,
    breaches,
    statuses,
)
from firsttoken.facility.grid_targets import BREACHED, SEVERE, UNDER
from firsttoken.facility.kpi import HOUR, Kpis, ratio
from firsttoken.twin.dates import to_datetime
from firsttoken.twin.result_rows import QUANTILES, spread
from firsttoken.twin.result_table import ResultTable


def event_tables(kpis: Kpis) -> list[ResultTable]:
    """Targets over all replications, messages of the first."""
    return [_targets(kpis), _messages(kpis)]


def _columns(kpis: Kpis, feed: str) -> list[int]:
    """Which of the rows with targets are a feed's."""
    own = kpis.system.power.rows(feed)
    return [k for k, row in enumerate(kpis.system.targets.row) if int(row) in own]


def _targets(kpis: Kpis) -> ResultTable:
    rows = kpis.rows(
        "facility_grid_targets",
        "How each feed kept the load targets of the grid: time with a target, share of it in which "
        "the target was kept, time of breach beyond 20 %.",
        ("feed", "metric"),
        *("unit", *QUANTILES),
    )
    events = kpis.system.events
    assert events is not None
    for feed in events.feeds:
        counts: Floats = kpis.result.targets[:, _columns(kpis, feed)].max(axis=1)
        under, above = counts[:, UNDER], counts[:, BREACHED]
        metrics = [
            ("under_target", "hour", under / HOUR),
            ("kept", "%", 100.0 * (1.0 - ratio(above, under))),
            ("critical", "hour", counts[:, SEVERE] / HOUR),
        ]
        for metric, unit, samples in metrics:
            rows.add(
                scenario=kpis.scenario,
                site=kpis.name,
                feed=feed,
                metric=metric,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )
    return rows.table()


def told(kpis: Kpis) -> list[tuple[list[Message], str]]:
    """Messages of the first replication in order of time, each with its text as JSON."""
    events, step = kpis.system.events, kpis.system.step
    assert events is not None
    taken = kpis.result.feeds
    feeds = []
    for name in events.feeds:
        own = _columns(kpis, name)
        load, level = taken[:, own, 0].sum(axis=1), taken[:, own, 1].sum(axis=1)
        most = events.most[name]
        if most == math.inf:  # no rating is declared
            most = float(load.max(initial=0.0))
        usual = min(events.usual[name], most)
        feeds.append(Feed(name, most, usual, events.sheds, load, level))
    whole = tuple(feeds)
    states = [m for feed in whole for m in statuses(feed, events.targets, step)]
    alerts = [m for feed in whole for m in breaches(feed, step)]
    epoch = kpis.system.start - events.utc_offset
    speaker = Speaker(kpis.name, kpis.scenario, epoch, events.targets, whole, step)
    found = [([alert], speaker.text([alert])) for alert in alerts]
    states.sort(key=lambda message: (message.time, message.feed))
    for _, moment in groupby(states, key=lambda message: message.time):
        by_feed: dict[str, list[Message]] = {}
        for message in moment:
            by_feed.setdefault(message.feed, []).append(message)
        while by_feed:  # two states of one feed at one time are two messages
            part = [messages.pop(0) for messages in by_feed.values()]
            by_feed = {feed: messages for feed, messages in by_feed.items() if messages}
            found.append((part, speaker.text(part)))
    return sorted(found, key=lambda pair: (pair[0][0].time, pair[0][0].kind == BREACH))


def _messages(kpis: Kpis) -> ResultTable:
    rows = kpis.rows(
        "facility_grid_messages",
        "Power states and breach alerts of the feeds in the first replication, by the site's "
        "clock; `text` is the message in JSON (DSX Flex), one line each as they are sent.",
        ("message", "feed"),
        *("time", "type", "event", "severity", "compliant", "load", "target", "excess", "text"),
    )
    system = kpis.system
    for number, (parts, text) in enumerate(told(kpis), 1):
        for first, part in enumerate(parts):
            finite = part.target < math.inf
            rows.add(
                scenario=kpis.scenario,
                site=kpis.name,
                message=number,
                feed=part.feed,
                time=to_datetime(system.start + part.time).isoformat(timespec="seconds"),
                type=part.kind,
                event=part.event,
                severity=part.severity or "normal",
                compliant=part.compliant,
                load=part.load / 1e6,
                target=part.target / 1e6 if finite else math.nan,
                excess=100.0 * max(part.load / max(part.target, 1e-9) - 1.0, 0.0),
                text="" if first else text,
            )
    return rows.table({"load": "MW", "target": "MW", "excess": "%"})
