"""Snapshots in a file: what `simulate --save` writes and `simulate --from` reads.

A file is a NumPy archive (`.npz`) of plain arrays without pickles, so that reading one from
somebody else is safe.  Beside the arrays of each line and site, named `line.houston/<array>`, it
holds one JSON text `snapshot`: the format, when it was taken, and what it belongs to.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from firsttoken.twin.dates import iso, moment_text
from firsttoken.twin.findings import Finding, Place, TwinError, UsageError

FORMAT: Final = "firsttoken-snapshot"
FORMAT_VERSION: Final = 2
RECORD: Final = "snapshot"
OWNER: Final = "owner"
"""Array of the seed and the replication that a state is of, in rooms that keep them."""


class State(Protocol):
    """The complete state of one replication of a line or a site at a moment."""

    @property
    def identity(self) -> str:
        """What two structures share whose states fit each other."""

    @property
    def time(self) -> float:
        """Moment in s from the start of the twin."""

    @property
    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """The state, by name."""


@dataclass(frozen=True)
class SavedState:
    """A state as a file holds it; see `State`."""

    identity: str
    time: float
    arrays: dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SnapshotFile:
    """What a file of snapshots holds.

    Attributes
    ----------
    twin, scenario : that it was taken of; `base` without a scenario.
    start : of the twin, in s from 1970-01-01.
    snapshots : by instance, as in `line.houston`.
    """

    twin: str
    scenario: str
    start: float
    snapshots: Mapping[str, State]


def save_snapshots(path: Path | str, file: SnapshotFile) -> None:
    """Write a file of snapshots, whole or not at all; one that is there is replaced.

    Raises
    ------
    UsageError
        If it cannot be written.
    """
    target = Path(path)
    states = {
        name: {"identity": found.identity, "time": found.time, "arrays": sorted(found.arrays)}
        for name, found in file.snapshots.items()
    }
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "twin": file.twin,
        "scenario": file.scenario,
        "start": file.start,
        "states": states,
    }
    arrays = {
        f"{name}/{key}": array
        for name, found in file.snapshots.items()
        for key, array in found.arrays.items()
    }
    arrays[RECORD] = np.array(json.dumps(record))
    try:
        handle, building = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **arrays)
            os.replace(building, target)  # noqa: PTH105  # a path given as text
        except BaseException:
            Path(building).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot write the snapshot {target}: {error.strerror}") from None


def load_snapshots(path: Path | str) -> SnapshotFile:
    """Read a file of snapshots.

    Raises
    ------
    UsageError
        If there is no such file.
    TwinError
        If it is not a file of snapshots, or a damaged one; the finding names it.
    """
    source = Path(path)
    if not source.is_file():
        raise UsageError(f"there is no snapshot {source}")
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            record = json.loads(str(archive[RECORD]))
            _check_format(record)
            return SnapshotFile(
                record["twin"],
                record["scenario"],
                float(record["start"]),
                {
                    name: SavedState(
                        state["identity"],
                        float(state["time"]),
                        {key: archive[f"{name}/{key}"] for key in state["arrays"]},
                    )
                    for name, state in record["states"].items()
                },
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise _refused(source, f"it is not a snapshot: {_said(error)}") from None
    except zipfile.BadZipFile as error:
        raise _refused(source, f"it is damaged: {error}") from None


def _check_format(record: Any) -> None:
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if record.get("format_version") != FORMAT_VERSION:
        version = record.get("format_version")
        raise ValueError(f"its format version is {version!r}, not {FORMAT_VERSION}")


def _said(error: Exception) -> str:
    text = str(error).strip("'\"")
    return text.splitlines()[0] if text else type(error).__name__


def _refused(source: Path, why: str) -> TwinError:
    hint = "write one with: firsttoken simulate TWIN --until DATE --save FILE.npz"
    return TwinError(
        Finding(f"cannot start from {source.name}", why, hint, "", "snapshot", "error", _at(source))
    )


def _at(source: Path) -> Place:
    return Place(str(source))


@dataclass(frozen=True)
class Finder:
    """Finds the state that a line or a site starts from.

    Attributes
    ----------
    file, source : the file and its path, for findings.
    twin, start : name and start of the twin at hand, in s from 1970-01-01.
    name : of the instance that is to start from it, as in `line.houston`.
    """

    file: SnapshotFile
    source: Path
    twin: str
    start: float
    name: str

    def find(self, identity: str, parts: str) -> SavedState:
        """The state of an instance.

        Parameters
        ----------
        identity : of the instance.
        parts : what differs where identities do: "stations, routes or orders".

        Raises
        ------
        TwinError
            If the file has no state of it, or of one that is compiled otherwise; the finding says
            what it belongs to.
        """
        file, path, name = self.file, self.source, self.name
        owner = f"{file.twin}, scenario {file.scenario}"
        if name not in file.snapshots:
            known = ", ".join(file.snapshots) or "none"
            raise _refused(path, f"it has no state of {name}; it has {known}, of {owner}")
        found = file.snapshots[name]
        if file.start != self.start:
            begins = f"{iso(file.start)}, this one on {iso(self.start)}"
            raise _refused(path, f"it belongs to {owner}, that starts on {begins}")
        if found.identity != identity:
            where = f"of {owner}" if file.twin == self.twin else f"of another twin, {owner}"
            raise _refused(
                path,
                f"it belongs to {name} {where}, that differs from this one: {parts} have changed "
                "since, or the scenario is another",
            )
        return SavedState(found.identity, found.time, dict(found.arrays))


def require_time(state: State, finder: Finder, end: float) -> None:
    """Raise `UsageError` if a forecast from a state ends before it begins.

    Parameters
    ----------
    end : of the forecast, s from the start of the twin.
    """
    if state.time >= end:
        begin = moment_text(state.time + finder.start)
        raise UsageError(f"the state in {finder.source} is of {begin}: the forecast must end after")
