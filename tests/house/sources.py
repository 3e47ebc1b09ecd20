"""The package's sources, read once: what the house-rule tests look at."""

from __future__ import annotations

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "firsttoken"
ROOM_NAMES = ("supply", "line", "cell", "build", "facility", "cluster", "serving")
ROOMS = tuple(name for name in ROOM_NAMES if (PACKAGE / name).is_dir())

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> tuple[Path, ...]:
    """All Python files of the package."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name(path: Path) -> str:
    """A module's file, as a person would name it: supply/model.py."""
    return path.relative_to(PACKAGE).as_posix()


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


@cache
def code_lines(path: Path) -> frozenset[int]:
    """Numbers of the lines that hold code: neither blank, nor comment, nor docstring only."""
    text = path.read_text(encoding="utf-8")
    skipped = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    )
    docstrings = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, Function | ast.ClassDef | ast.Module) and ast.get_docstring(node):
            first = node.body[0]
            docstrings.add((first.lineno, first.col_offset))
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.start not in docstrings:
            found.update(range(token.start[0], token.end[0] + 1))
    return frozenset(found)


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git tracks and that exists."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return tuple(path for part in listed.split("\0") if part and (path := ROOT / part).is_file())


@cache
def text(path: Path) -> str:
    """The file's text; empty for pictures and other files that are not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
