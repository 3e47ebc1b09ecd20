"""Everything that can go wrong ends with a message and its status, never with a traceback."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firsttoken import api
from firsttoken.cli import app
from firsttoken.cli_output import Progress, count
from firsttoken.twin.findings import (
    BalanceError,
    Finding,
    Findings,
    InfeasibleError,
    MissingExtraError,
)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, prog_name="firsttoken")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InfeasibleError("capacity of cowos conflicts with demand us"), 4, "cowos conflicts"),
        (MissingExtraError("reading workbooks", "xlsx"), 3, "pip install 'firsttoken[xlsx]'"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "No space left"),
        (MemoryError(), 3, "MemoryError"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BalanceError("supply.racks: 3 racks too many"), 70, "this is a defect"),
        (ZeroDivisionError("division by zero"), 70, "this is a defect"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_have_their_status(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api, "run", fail)
    done = call("run", "twin.yaml")
    assert done.exit_code == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_the_traceback_of_a_defect(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "run", lambda *_, **__: 1 // 0)
    done = call("--debug", "run", "twin.yaml")
    assert done.exit_code == 70
    assert "Traceback" in done.stderr
    assert "--debug" not in done.stderr.splitlines()[-1]
    assert "Traceback" not in call("run", "twin.yaml").stderr


def test_findings_are_counted() -> None:
    found = Findings([Finding("a"), Finding("b"), Finding("c", severity="warning")])
    assert count(found) == "2 errors, 1 warning"


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start the command as a terminal would, with an interrupt that is not ignored.

    A suite that is itself started in the background of a script ignores interrupts, and its
    children would inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "firsttoken", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_without_leaving_half_of_it(
    folder: Path, number: int, status: int
) -> None:
    process = start("simulate", "twin.yaml", "-n", "100000000", "--out", "runs/there")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("simulate") and "to go" in line:
            break  # in the middle of the work
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert "Traceback" not in said
    assert list(folder.glob("runs/*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "firsttoken", "schema"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


def test_progress_is_lines_where_nobody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 12.0, 20.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with Progress() as progress:
        for done in (0, 100, 500, 1000):
            progress.update("simulate base", done, 1000)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "simulate base ...",
        "simulate base: 500 of 1,000, about 12 s to go",
        "simulate base: 1,000 of 1,000 in 20.0 s",
    ]


def test_progress_is_bars_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Progress() as progress:
        progress.update("plan", 0, 0)
        progress.update("simulate base", 250, 1000)
        progress.update("simulate base", 1000, 1000)
    said = capsys.readouterr()
    assert said.out == ""
    assert "simulate base" in said.err
    assert "1000/1000" in said.err
    assert "ETA" in said.err


def test_completion_completes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from firsttoken.cli import app; app(prog_name='firsttoken')"],
        env={
            **os.environ,
            "_FIRSTTOKEN_COMPLETE": "complete_bash",
            "COMP_WORDS": "firsttoken comp",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["compare"]
