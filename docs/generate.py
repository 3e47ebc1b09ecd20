"""Write the generated parts of the reference: the twin language and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMANDS = ("", "run", "plan", "simulate", "explain", "check", "compare", "schema", "report")


def write_reference(folder: Path) -> None:
    """Write a page a part of the twin language, and `command-line.inc`, which a page includes."""
    from firsttoken.chain.rooms import rooms
    from firsttoken.twin.reference import reference_markdown

    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{name}.md": text for name, text in reference_markdown(rooms()).items()}
    pages["command-line.inc"] = command_line()
    for old in folder.iterdir():
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        _write(folder / name, text)


def command_line() -> str:
    """The help of every command."""
    parts = []
    for command in COMMANDS:
        words = [word for word in ("firsttoken", command) if word]
        shown = subprocess.run(
            [sys.executable, "-m", *words, "--help"],
            env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        shown = shown.replace("python -m firsttoken", "firsttoken")
        parts.append(f"## {' '.join(words)}\n\n```text\n{shown.strip()}\n```\n")
    return "\n".join(parts)


def _write(path: Path, text: str) -> None:
    """Write only what changed, so that Sphinx rebuilds only what must be."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
