"""The run folder: one Parquet file a table and `run.json`, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import numpy as np

from firsttoken.results.run import FORMAT, Run, TableRecord
from firsttoken.twin.findings import UsageError
from firsttoken.twin.result_table import Column, ResultTable, concatenate

RECORD = "run.json"

_SQL_TYPES = {"O": "VARCHAR", "f": "DOUBLE", "i": "BIGINT", "b": "BOOLEAN"}


def write_run(
    folder: str | os.PathLike[str],
    run: Run,
    tables: Iterable[ResultTable],
    *,
    overwrite: bool = False,
) -> Results:
    """Write a run folder and open it.

    The folder is built beside its place under a hidden name and renamed at the end, so that
    it is there whole or not at all: an error or an interrupt on the way leaves nothing.

    Parameters
    ----------
    tables : tables of equal name (one a scenario, say) are put under each other.
    overwrite : replace a run folder that is there; anything else is never replaced.

    Raises
    ------
    UsageError
        If the folder exists and may not be replaced, or cannot be written.
    """
    target = Path(folder)
    _check_target(target, overwrite)
    by_name: dict[str, list[ResultTable]] = {}
    for table in tables:
        by_name.setdefault(table.name, []).append(table)
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
        building.chmod(0o755)
    except OSError as error:
        raise UsageError(f"cannot write the run folder {target}: {error.strerror}") from None
    try:
        records = tuple(_write_table(building, concatenate(group)) for group in by_name.values())
        record = building / RECORD
        record.write_text(replace(run, tables=records).as_json(), encoding="utf-8")
        for path in (*building.iterdir(), building):
            _sync(path)
        _put_in_place(building, target)
    except OSError as error:
        raise UsageError(f"cannot write the run folder {target}: {error.strerror}") from None
    except duckdb.IOException as error:
        raise UsageError(f"cannot write the run folder {target}: {error}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return Results.open(target)


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / RECORD).is_file():
        raise UsageError(f"{target} exists and is not a run folder; choose another --out folder")
    if not overwrite:
        raise UsageError(f"{target} holds a run already; choose another folder or overwrite it")


def _put_in_place(building: Path, target: Path) -> None:
    """Rename into place; an old run gives way only once the new one is complete."""
    if not target.exists():
        building.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.absolute().parent))
    try:
        target.rename(aside / "run")
        try:
            building.rename(target)
        except BaseException:
            (aside / "run").rename(target)
            raise
        _sync(target.absolute().parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    """Force a file or folder to disk; where folders cannot be opened, as on Windows, skip."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _write_table(folder: Path, table: ResultTable) -> TableRecord:
    arrays = {name: table.array(name) for name in table.columns}
    selected = []
    for name, values in arrays.items():
        column = _identifier(name)
        kind = _SQL_TYPES[values.dtype.kind]
        cast = f"CAST({column} AS {kind})"
        if kind == "VARCHAR" and table.units.get(name) == "date":
            cast = f"CAST(nullif({cast}, '') AS DATE)"
        selected.append(f"{cast} AS {column}")
    said = {"units": json.dumps(table.units), "description": table.description}
    said["keys"] = json.dumps(table.keys)
    pairs = ", ".join(f"{key}: {_quoted(value)}" for key, value in said.items())
    path = _quoted(str(folder / f"{table.name}.parquet"))
    with duckdb.connect() as connection:
        connection.register("rows", arrays)
        connection.execute(
            f"COPY (SELECT {', '.join(selected)} FROM rows) TO {path} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{pairs}}})"
        )
    return TableRecord(
        table.name, len(table), dict(table.units), table.description, table.keys, tuple(arrays)
    )


class Results:
    """The tables of a run folder, open for reading.

    Use `Results.open(folder)`, as a context manager or with `close`.

    Attributes
    ----------
    folder : where the run lies.
    run : the record of the execution.
    """

    def __init__(self, folder: Path, run: Run, connection: duckdb.DuckDBPyConnection) -> None:
        self.folder = folder
        self.run = run
        self._connection = connection
        self._records = {record.name: record for record in run.tables}

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Results:
        """Open a run folder.

        Raises
        ------
        UsageError
            If there is no such folder, it is not a run's, or a file of it is damaged; the
            message names every one.
        """
        place = Path(folder)
        run = _read_record(place)
        connection = duckdb.connect()
        problems = []
        for record in run.tables:
            path = place / f"{record.name}.parquet"
            problem = _make_view(connection, record, path)
            if problem:
                problems.append(f"{path}: {problem}")
        if problems:
            connection.close()
            raise UsageError(
                f"the run folder {place} is damaged; run it again:\n  " + "\n  ".join(problems)
            )
        return cls(place, run, connection)

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def close(self) -> None:
        """Close the DuckDB connection."""
        self._connection.close()

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(self._records)

    def info(self, name: str) -> TableRecord:
        """Rows, units, keys and description of a table.

        Raises
        ------
        UsageError
            If the run has no such table.
        """
        try:
            return self._records[name]
        except KeyError:
            raise UsageError(
                f"the run {self.folder} has no table {name!r}; it has {', '.join(self.tables)}"
            ) from None

    def table(self, name: str) -> dict[str, Column]:
        """All columns of a table, in order, as arrays of shape (rows,).

        Texts and ISO days are object arrays of str ('' where there is none), numbers float64
        (NaN where unknown) or int64, truths bool.

        Raises
        ------
        UsageError
            If the run has no such table.
        """
        self.info(name)
        return self._fetch(f"SELECT * FROM {_identifier(name)}")

    def sql(self, query: str) -> dict[str, Column]:
        """Answer a DuckDB query, in which every table is a view of its name.

        Raises
        ------
        UsageError
            If DuckDB cannot run the query, with its message.
        """
        return self._fetch(query)

    def _fetch(self, query: str) -> dict[str, Column]:
        try:
            found = self._connection.execute(query).fetchnumpy()
        except duckdb.Error as error:
            raise UsageError(f"the query failed: {error}") from None
        return {name: _plain(values) for name, values in found.items()}


def _read_record(place: Path) -> Run:
    record = place / RECORD
    if not place.exists():
        raise UsageError(f"there is no run folder {place}")
    if not record.is_file():
        raise UsageError(f"{place} is not a run folder: it holds no {RECORD}")
    try:
        return Run.from_json(record.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"{record} is not a {FORMAT} record: {error}") from None


def _make_view(connection: duckdb.DuckDBPyConnection, record: TableRecord, path: Path) -> str:
    """Define the table's view; returns what is wrong with its file, or ''."""
    if not path.is_file():
        return "the file is missing"
    try:
        source = f"read_parquet({_quoted(str(path))})"
        connection.execute(f"CREATE VIEW {_identifier(record.name)} AS SELECT * FROM {source}")
        counted = connection.execute(f"SELECT count(*) FROM {source}").fetchall()[0][0]
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    if counted != record.rows:
        return f"it has {counted} rows, {RECORD} says {record.rows}"
    if tuple(row[0] for row in described) != record.columns:
        return f"its columns are not those that {RECORD} lists"
    return ""


def _plain(values: Any) -> Column:
    """A column as fetched, with its nulls as '' or NaN and its dates as ISO days."""
    mask = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    kind = data.dtype.kind
    if kind == "M":
        texts = np.datetime_as_string(data.astype("datetime64[D]"))
        return np.where(mask | np.isnat(data), "", texts).astype(object)
    if kind in "OU":
        out = data.astype(object)
        out[mask] = ""
        return out
    if mask.any():
        numbers = data.astype(np.float64)
        numbers[mask] = np.nan
        return numbers
    return data
