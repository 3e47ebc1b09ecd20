"""The record of one execution: what was run, on what, and what it cost (`run.json`)."""

from __future__ import annotations

import datetime as dt
import json
import platform as host
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from typing import Any

from firsttoken.twin.findings import UsageError

FORMAT = "firsttoken-run"
FORMAT_VERSION = 1

_VERSIONED = ("firsttoken", "numpy", "scipy", "numba", "highspy", "duckdb")


@dataclass(frozen=True, slots=True)
class ScenarioRecord:
    """What a scenario changes.

    Attributes
    ----------
    overrides : parameter path -> value, as the twin file writes it.
    disruptions : one line each, as a person would say it.
    as_of : ISO day up to which facts were known; empty: the run's.
    """

    name: str
    description: str = ""
    extends: str = ""
    overrides: dict[str, str] = field(default_factory=dict)
    disruptions: tuple[str, ...] = ()
    as_of: str = ""


@dataclass(frozen=True, slots=True)
class TableRecord:
    """What `run.json` says of one table."""

    name: str
    rows: int
    units: dict[str, str] = field(default_factory=dict)
    description: str = ""
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a twin, reproducible from what is recorded here.

    Attributes
    ----------
    twin : the twin's name; `title` and `description` are for people.
    twin_hash : content hash of the twin as loaded (hexadecimal).
    scenarios : the scenarios run; the first is the one others are compared with.
    seed, replications : of the random streams; equal ones give common random numbers.
    engines : the engines run: plan, simulation.
    as_of, start, end : ISO days; facts known, first and last day of the horizon.
    versions : package -> version.
    cpu_s, wall_s : seconds used, of all cores and of the clock.
    created : UTC, ISO 8601.
    tables : filled when the run folder is written.
    """

    twin: str
    twin_hash: str
    scenarios: tuple[ScenarioRecord, ...]
    seed: int
    replications: int
    engines: tuple[str, ...]
    as_of: str = ""
    start: str = ""
    end: str = ""
    title: str = ""
    description: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    versions: dict[str, str] = field(default_factory=lambda: versions())
    platform: str = field(default_factory=lambda: platform())
    created: str = field(default_factory=lambda: now())
    tables: tuple[TableRecord, ...] = ()

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """Names of the scenarios, the base first."""
        return tuple(scenario.name for scenario in self.scenarios)

    def scenario(self, name: str) -> ScenarioRecord:
        """The record of a scenario.

        Raises
        ------
        UsageError
            If the run has no such scenario.
        """
        for scenario in self.scenarios:
            if scenario.name == name:
                return scenario
        raise UsageError(
            f"this run of {self.twin} has no scenario {name!r}; "
            f"it has {', '.join(self.scenario_names) or 'none'}"
        )

    def as_json(self) -> str:
        """The text of `run.json`."""
        record = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps(record, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Read the text of `run.json`.

        Raises
        ------
        ValueError
            If the text is not a run's record, saying what is wrong with it.
        """
        record = json.loads(text)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if record.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"its format version is {record.get('format_version')!r}; "
                f"this firsttoken reads version {FORMAT_VERSION}"
            )
        known = {part.name for part in fields(cls)}
        kept = {key: value for key, value in record.items() if key in known}
        try:
            kept["scenarios"] = tuple(
                ScenarioRecord(**{**s, "disruptions": tuple(s.get("disruptions", ()))})
                for s in kept["scenarios"]
            )
            kept["tables"] = tuple(_table_record(part) for part in kept["tables"])
            kept["engines"] = tuple(kept["engines"])
            return cls(**kept)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a field is missing or wrong: {error}") from None


def _table_record(part: Mapping[str, Any]) -> TableRecord:
    return TableRecord(**{**part, "keys": tuple(part["keys"]), "columns": tuple(part["columns"])})


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": host.python_version()}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def platform() -> str:
    """Operating system and processor, without the machine's name."""
    return f"{host.system()} {host.release()} {host.machine()}"


def now() -> str:
    """Give the time in UTC, to the second, ISO 8601."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
