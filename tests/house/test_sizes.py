"""House rule: modules, functions and the tree stay small enough to hold in mind.

Counted are lines of code: blank lines, comments and docstrings are free, for modules and for
functions. A function's lines run from `def` to its end; functions inside it count too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.house.sources import PACKAGE, code_lines, functions, modules, name

MODULE_LINES = 500
FUNCTION_LINES = 60
FOLDER_DEPTH = 2
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc", "legacy"}


@pytest.mark.parametrize("path", modules(), ids=name)
def test_modules_are_small(path: Path) -> None:
    assert len(code_lines(path)) <= MODULE_LINES


@pytest.mark.parametrize("path", modules(), ids=name)
def test_functions_are_small(path: Path) -> None:
    code = code_lines(path)
    long = {
        function.name: size
        for function in functions(path)
        if (size := len(code & set(range(function.lineno, (function.end_lineno or 0) + 1))))
        > FUNCTION_LINES
    }
    assert not long, f"over {FUNCTION_LINES} lines of code in {name(path)}: {long}"


def test_code_lines_leave_out_blank_lines_comments_and_docstrings(tmp_path: Path) -> None:
    source = tmp_path / "counted.py"
    source.write_text('"""Doc.\n\nMore.\n"""\n\n# why\nx = """a\nb"""  # text counts\n\n\ny = 1\n')
    assert code_lines(source) == {7, 8, 11}


def test_folders_are_shallow() -> None:
    depth = max(len(path.relative_to(PACKAGE).parts) - 1 for path in modules())
    assert depth <= FOLDER_DEPTH


def test_module_names_say_what_is_inside() -> None:
    bad = [name(p) for p in modules() if {p.stem, *p.relative_to(PACKAGE).parts} & FORBIDDEN]
    assert not bad
