"""Recorded requests from files: Azure, Mooncake, Qwen-Bailian, BurstGPT, and plain CSV or JSONL.

What a file is follows from the names of its columns, whatever their order:

=============  =====================================  ==========================================
file           columns                                meaning
=============  =====================================  ==========================================
Azure          TIMESTAMP, ContextTokens,              date and time; tokens
               GeneratedTokens
BurstGPT       Timestamp, Request tokens,             s; tokens; an answer without tokens is a
               Response tokens                        request that failed
Mooncake       timestamp, input_length,               ms; tokens; blocks of 512 tokens
               output_length, hash_ids
Qwen-Bailian   timestamp, chat_id, parent_chat_id,    s; tokens; blocks of 16 tokens
               input_length, output_length, hash_ids
plain          arrival, prompt, output [, session,    s, or date and time; tokens; blocks of
               tenant, cached, hash_ids]              `hash_block` tokens
=============  =====================================  ==========================================

Sources: Azure/AzurePublicDataset (Patel et al., Splitwise, ISCA 2024); Wang et al., BurstGPT, KDD
2025; Qin et al., Mooncake, FAST 2025; Alibaba, Qwen-Bailian usage traces.  Times are made to begin
at 0.  Files may be compressed by gzip or xz.
"""

from __future__ import annotations

import csv
import gzip
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np

from firsttoken.serving.requests_system import Ints, Requests, requests_of
from firsttoken.twin.findings import Finding, Findings, Place, UsageError

MOST_FINDINGS: Final = 10
"""Findings of one file; a file that is wrong throughout says so ten times, not a million."""


@dataclass(frozen=True)
class Format:
    """Names of the columns of a kind of file, s of a unit of time, tokens of a hashed block."""

    name: str
    arrival: str
    prompt: str
    output: str
    second: float = 1.0
    block: int = 512
    session: str = ""
    failures: bool = False


FORMATS: Final = (
    Format("Azure", "timestamp", "contexttokens", "generatedtokens"),
    Format("BurstGPT", "timestamp", "request tokens", "response tokens", failures=True),
    Format("Qwen-Bailian", "timestamp", "input_length", "output_length", 1.0, 16, "chat_id"),
    Format("Mooncake", "timestamp", "input_length", "output_length", 1e-3),
    Format("plain", "arrival", "prompt", "output", session="session"),
)
HINT: Final = "plain files have the columns arrival, prompt, output"


@dataclass(frozen=True)
class TraceFile:
    """What a file of requests holds.

    Attributes
    ----------
    format : its name, `Azure` and so on.
    requests : in order of arrival, the first at 0 s.
    tenants : names that `requests.tenant` counts; one empty name if the file tells none.
    hash_block : tokens of a block of hashes.
    failed : requests without an answer, which are left out.
    """

    format: str
    requests: Requests
    tenants: tuple[str, ...]
    hash_block: int
    failed: int


def read_trace(path: Path | str) -> Requests:
    """Read the requests of a file, see :func:`read_trace_file`."""
    return read_trace_file(path).requests


def read_trace_file(path: Path | str) -> TraceFile:
    """Read a file of requests.

    Raises
    ------
    UsageError
        If there is no such file.
    TwinError
        If it is empty, of no known kind, out of order or before 0, or lengths are missing or no
        numbers; each finding names the line.
    """
    source = Path(path)
    if not source.is_file():
        raise UsageError(f"there is no trace {source}")
    reader = _Reader(source)
    try:
        with _opened(source) as stream:
            reader.read(stream)
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError, csv.Error) as error:
        reader.say(1, "it cannot be read", str(error), HINT)
    return reader.result()


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class _Reader:
    """Columns of a file as they are read, and what is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wrong = Findings()
        self.format: Format | None = None
        self.arrival: list[float] = []
        self.lines: list[int] = []
        self.prompt: list[int] = []
        self.output: list[int] = []
        self.session: list[Any] = []
        self.tenant: list[str] = []
        self.cached: list[int] = []
        self.hashes: list[Any] = []
        self.first: list[int] = [0]
        self.roots: dict[Any, Any] = {}
        self.failed = 0

    def say(self, line: int, what: str, why: str = "", hint: str = "") -> None:
        """Add a finding."""
        place = Place(str(self.path), line)
        self.wrong.add(Finding(what, why, hint, "", "trace", "error", place))

    def read(self, stream: TextIO) -> None:
        """Read all rows, up to as many mistakes as are told."""
        for line, row in _rows(self.path, stream, self):
            if self.format is None:
                self.format = _format_of(row)
                if self.format is None:
                    names = ", ".join(map(str, row))
                    self.say(line, f"no known kind of trace has the columns {names}", "", HINT)
                    return
            self._take(line, row, self.format)
            if len(self.wrong) >= MOST_FINDINGS:
                return

    def _take(self, line: int, row: dict[str, Any], kind: Format) -> None:
        moment = _moment(row.get(kind.arrival))
        prompt, output = _tokens(row.get(kind.prompt)), _tokens(row.get(kind.output))
        for name, value in ((kind.arrival, moment), (kind.prompt, prompt), (kind.output, output)):
            if value is None:
                text = row.get(name)
                shown = "is missing" if text in (None, "") else f"is {text!r}"
                self.say(line, f"{name} {shown}", "it must be a number", "mend or drop the row")
        if moment is None or prompt is None or output is None:
            return
        if moment < 0.0:
            what, why = f"{kind.arrival} is {row.get(kind.arrival)!r}", "time begins at 0"
            self.say(line, what, why, "count from the first request, or drop the row")
            return
        if kind.failures and output == 0:
            self.failed += 1
            return
        if prompt < 1 or output < 1:
            what = f"{prompt} tokens of prompt and {output} of answer"
            self.say(line, what, "a request has at least one of each", "drop the row")
            return
        if self.arrival and moment < self.arrival[-1]:
            what = f"it arrives before the request of line {self.lines[-1]}"
            self.say(line, what, "a trace is in order of arrival", "sort the file")
            return
        self.arrival.append(moment)
        self.lines.append(line)
        self.prompt.append(prompt)
        self.output.append(output)
        self.session.append(self._session(row, kind))
        self.tenant.append(str(row.get("tenant") or ""))
        self.cached.append(min(max(_tokens(row.get("cached")) or 0, 0), prompt))
        self.hashes.extend(row.get("hash_ids") or ())
        self.first.append(len(self.hashes))

    def _session(self, row: dict[str, Any], kind: Format) -> Any:
        """The conversation: that of the first message, if there is a chain of them."""
        own = row.get(kind.session) if kind.session else None
        if own in (None, ""):
            return ("request", len(self.lines))
        parent = row.get("parent_chat_id")
        if kind.session == "chat_id" and parent not in (None, "", -1, "-1"):
            self.roots[own] = self.roots.get(parent, parent)
        return self.roots.get(own, own)

    def result(self) -> TraceFile:
        """The trace, or all that is wrong with it."""
        if not self.arrival and not len(self.wrong):
            self.say(1, "there is no request in it", "nothing would be served", HINT)
        self.wrong.raise_if_errors()
        assert self.format is not None
        arrival = np.array(self.arrival)
        names = sorted(set(self.tenant))
        rows = {name: row for row, name in enumerate(names)}
        requests = requests_of(
            (arrival - arrival[0]) * self.format.second,
            np.array(self.prompt, np.int64),
            np.array(self.output, np.int64),
            np.array([rows[name] for name in self.tenant], np.int64),
            session=_numbered(self.session),
            cached=np.array(self.cached, np.int64),
            hashes=_numbered(self.hashes),
            first=np.array(self.first, np.int64),
        )
        return TraceFile(self.format.name, requests, tuple(names), self.format.block, self.failed)


def _numbered(names: Iterable[Any]) -> Ints:
    """Numbers of names in the order in which they first occur."""
    found: dict[Any, int] = {}
    return np.array([found.setdefault(name, len(found)) for name in names], np.int64)


def _rows(path: Path, stream: TextIO, reader: _Reader) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines and rows of a file, names of columns in lower case."""
    name = path.name.removesuffix(".gz").removesuffix(".xz").lower()
    if not name.endswith((".jsonl", ".json", ".ndjson")):
        table = csv.DictReader(stream, skipinitialspace=True)
        table.fieldnames = [key.strip().lower() for key in table.fieldnames or ()]
        for row in table:
            if isinstance(text := row.get("hash_ids"), str):
                row["hash_ids"] = text.strip("[]").replace(";", " ").replace(",", " ").split()
            yield table.line_num, row
        return
    for line, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except ValueError as error:
            reader.say(line, "it is not JSON", str(error), "one request a line")
            continue
        if not isinstance(found, dict):
            reader.say(line, "it is not a JSON object", "", "one request a line")
            continue
        yield line, {str(key).lower(): value for key, value in found.items()}


def _format_of(row: dict[str, Any]) -> Format | None:
    for kind in FORMATS:
        needed = {kind.arrival, kind.prompt, kind.output}
        if kind.session == "chat_id":
            needed.add(kind.session)
        if needed <= set(row):
            return kind
    return None


def _moment(value: Any) -> float | None:
    """Seconds, of a number or of a date with a time."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        if not isinstance(value, str):
            return None
        try:
            # seven digits of a second, as in the Azure traces, are one more than Python reads
            head, point, tail = value.partition(".")
            moment = datetime.fromisoformat(head)
            if moment.tzinfo is None:
                moment = datetime.fromisoformat(head + "+00:00")
            return moment.timestamp() + (float("0." + tail.rstrip("Z")) if point else 0.0)
        except ValueError:
            return None
    return found if np.isfinite(found) else None


def _tokens(value: Any) -> int | None:
    """A whole number of tokens."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return int(found) if np.isfinite(found) and found == int(found) else None
