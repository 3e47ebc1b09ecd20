"""Small token factories that the tests of the room share."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.twin.room import Settings

CHAT: dict[str, Any] = {
    "model": "qwen3_235b",
    "engine": {"name": "sglang", "calibrated": False},
    "precision": {"weights": "fp8"},
    "parallel": {"tensor": 4},
    "replicas": 4,
    "traffic": {
        "users": {
            "rate": "8 request/s",
            "prompt": "lognormal(2000, 1500) token",
            "output": "lognormal(300, 200) token",
        }
    },
    "slo": {"ttft": "2 s", "tpot": "50 ms"},
}
FACTORY: dict[str, Any] = {
    "accelerators": {"pool": {"part": "gb300", "count": 72}},
    "services": {"chat": CHAT},
}

Rows = list[dict[str, Any]]


def factory(**changes: Any) -> dict[str, Any]:
    """The small factory with changes by dotted path: `**{"services.chat.replicas": 2}`."""
    made = copy.deepcopy(FACTORY)
    for path, value in changes.items():
        *above, last = path.split(".")
        node = made
        for key in above:
            node = node.setdefault(key, {})
        if value is None:
            node.pop(last, None)
        else:
            node[last] = copy.deepcopy(value)
    return made


def twin_of(declared: dict[str, Any], **header: Any) -> dict[str, Any]:
    """A twin of one token factory, of ten minutes from 2026-11-02, a Monday."""
    start = {"twin": "t", "start": "2026-11-02", "horizon": "10 minute", "replications": 2}
    library = ["ai-hardware", "ai-models"]
    return {**start, "library": library, **header, "serving": {"x": declared}}


def write(folder: Path, data: dict[str, Any]) -> Path:
    """Write a twin; returns its folder."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder


def check(folder: Path, declared: dict[str, Any], **header: Any) -> str:
    """What `check` says."""
    return api.check(write(folder, twin_of(declared, **header))).as_text()


def tables(
    folder: Path,
    declared: dict[str, Any],
    names: list[str] | None = None,
    engines: tuple[str, ...] = ("simulate",),
    **header: Any,
) -> dict[str, Rows]:
    """Rows of all tables by name."""
    write(folder, twin_of(declared, **header))
    done = execute(api.load(folder), names, Settings(engines=engines))
    found: dict[str, Rows] = {}
    for table in done.tables:
        columns = list(table.columns)
        values = [table.array(name).tolist() for name in columns]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
        found.setdefault(table.name, []).extend(rows)
    return found
