"""How the command line ends: a message and an exit status for everything that can go wrong."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import ParamSpec

import typer

EXIT_DEFECT = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells do
EXIT_TERMINATED = 143  # 128 + SIGTERM

P = ParamSpec("P")


@dataclass
class Settings:
    """Options that hold for all commands."""

    debug: bool = False


settings = Settings()


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn whatever a command raises into a message on stderr and an exit status."""

    @functools.wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            print("\nfirsttoken: interrupted; no run was written", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of stdout went away (`| head`): nobody is left to tell.
            sys.stdout = None
            raise typer.Exit(0) from None
        except Exception as error:
            raise typer.Exit(_explain(error)) from None

    return call


def _explain(error: Exception) -> int:
    from firsttoken.twin.findings import (
        EXIT_ENVIRONMENT,
        BalanceError,
        FirsttokenError,
        TwinError,
    )

    if settings.debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, TwinError):
        from firsttoken.cli_output import count

        print(error, file=sys.stderr)
        print(f"firsttoken: {count(error.findings)}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, FirsttokenError) and not isinstance(error, BalanceError):
        print(f"firsttoken: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError | MemoryError):
        what = str(error) or type(error).__name__
        print(f"firsttoken: the machine refused: {what}", file=sys.stderr)
        return EXIT_ENVIRONMENT
    print(f"firsttoken: {type(error).__name__}: {error}", file=sys.stderr)
    print(
        "firsttoken: this is a defect of firsttoken, not of your input; please report it"
        + ("" if settings.debug else " with what `firsttoken --debug ...` shows"),
        file=sys.stderr,
    )
    return EXIT_DEFECT


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a termination signal unwind the stack, so that nothing half-written is left."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise typer.Exit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
