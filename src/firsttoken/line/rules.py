"""Dispatch rules of one's own: a Python function in a file beside the twin.

The function says how urgent a lot is that waits at a station when one of its servers is free::

    def rule(now, priority, arrived, due, released, work, work_left, setup_time, pieces):
        return (due - now) / max(work_left, 1.0)  # the lowest value is served first

Lots of higher priority go first whatever the rule says; it orders lots of equal priority.  All
arguments are floats: `now`, `arrived` (at the station), `released` and `due` in seconds from the
start of the twin (`due` is infinite for a lot without a due date); `work` and `work_left`, the
expected processing times of this step and of this and all later ones, and `setup_time`, the
change-over that the server would need, in seconds; `priority` and `pieces` of the lot.

The function is compiled, so it may use numbers, `math` and `numpy`, but no lists of the file, no
text and no exceptions.  Engines take its address: they are compiled once and cached, whatever it
does.
"""

from __future__ import annotations

import ast
import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

Rule = Callable[..., float]

ARGUMENTS: Final = (
    *("now", "priority", "arrived", "due", "released"),
    *("work", "work_left", "setup_time", "pieces"),
)
"""Names of the arguments of a rule, in order."""

BUILT_IN: Final = ("fifo", "edd", "spt", "cr", "setup")
"""Rules that need no file."""

_OWN = re.compile(r"(?P<file>[^:]+\.py):(?P<function>[A-Za-z_]\w*)")
_TRIAL: Final = (86400.0, 10.0, 82800.0, 172800.0, 3600.0, 1800.0, 14400.0, 600.0, 1.0)
_DUE: Final = ARGUMENTS.index("due")


class RuleError(ValueError):
    """A rule cannot be used; says what is wrong, why, and what to write instead."""

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.hint = what, why, hint

    def __str__(self) -> str:
        return ", ".join(part for part in (self.what, self.why) if part)


def own_rule(text: str) -> tuple[str, str] | None:
    """File and function of `file.py:function`; None for any other text."""
    match = _OWN.fullmatch(text.strip())
    return None if match is None else (match["file"].strip(), match["function"])


def load_rule(path: Path, function: str) -> Rule:
    """Read and compile a rule.

    Parameters
    ----------
    path : Python file.
    function : name of a function at the top level of the file.

    Returns
    -------
    The compiled function (a numba `cfunc` of nine floats), kept alive for good; in pure-Python
    mode the function itself.

    Raises
    ------
    RuleError
        If the file cannot be read or run, has no such function, the function takes other
        arguments or cannot be compiled, or what it returns is not a number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "the file's name is relative to the twin's folder"
        raise RuleError(f"cannot read the rule's file {path.name!r}", why, hint) from None
    rule = _loaded(path.resolve(), function, text)
    try_rule(rule)
    return rule


def rule_address(rule: tuple[str, str] | None) -> Any:
    """What an engine takes: the address of a compiled rule, in pure-Python mode the function.

    Parameters
    ----------
    rule : file and function, or None.

    Raises
    ------
    RuleError
        As `load_rule`.
    """
    if rule is None:
        return None
    loaded = load_rule(Path(rule[0]), rule[1])
    return getattr(loaded, "address", loaded)


def try_rule(rule: Rule, *, due: bool = True) -> None:
    """Call a rule once with plausible numbers.

    Parameters
    ----------
    due : whether the lot has a due date.

    Raises
    ------
    RuleError
        If the rule fails or does not return a number: nothing is less or greater than nan.
    """
    arguments = list(_TRIAL)
    if not due:
        arguments[_DUE] = math.inf
    given = ", ".join(f"{n}={x:g}" for n, x in zip(ARGUMENTS, arguments, strict=True))
    native: Any = getattr(rule, "ctypes", rule)
    try:
        value = float(native(*arguments))
    except Exception as error:  # a user's function may raise anything
        raise RuleError(f"the rule fails: {type(error).__name__}: {error}", given) from None
    if math.isnan(value):
        hint = "a lot without a due date has due = inf; guard against it" if not due else ""
        raise RuleError("the rule returns nan, which has no order", f"called with {given}", hint)


def _compiled(function: Rule) -> Rule:
    import numba

    from firsttoken.kernel.compiled import config

    if config.DISABLE_JIT:
        return function
    signature = numba.types.float64(*[numba.types.float64] * len(ARGUMENTS))
    compiled: Rule = numba.cfunc(signature, error_model="numpy")(function)
    return compiled


@functools.cache
def _loaded(path: Path, function: str, text: str) -> Rule:
    """The rule of a file with this text, kept for good: engines know its address."""
    try:
        tree = ast.parse(text, str(path))
    except SyntaxError as error:
        raise RuleError(f"{path.name}:{error.lineno}: {error.msg}", "it is not Python") from None
    _check_source(tree, path.name, function)
    from numba.core.errors import NumbaError

    try:
        return _compiled(_function(path, function, text))
    except NumbaError as error:
        hint = "a rule computes with numbers, math and numpy only"
        what = f"{path.name}: {function!r} cannot be compiled"
        raise RuleError(what, _short(error), hint) from None


def _function(path: Path, function: str, text: str) -> Rule:
    module = ModuleType(f"rule_{path.stem}")
    module.__file__ = str(path)
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except Exception as error:  # a user's file may raise anything
        what = f"{path.name} cannot be run"
        raise RuleError(what, f"{type(error).__name__}: {error}") from None
    found = getattr(module, function)
    if not hasattr(found, "__code__"):
        hint = "remove its decorators: it is compiled anyway"
        raise RuleError(f"{path.name}: {function!r} is not a plain function", "", hint)
    rule: Rule = getattr(found, "py_func", found)
    return rule


def _check_source(tree: ast.Module, file: str, function: str) -> None:
    """The function stands in the file, is plain, and takes what a rule takes."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if function not in functions:
        names = ", ".join(functions) or "no function"
        hint = f"write 'def {function}({', '.join(ARGUMENTS)}):'"
        raise RuleError(f"{file} has no function {function!r}", f"it has {names}", hint)
    node = functions[function]
    given = node.args
    names_given = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    other = given.vararg or given.kwarg or given.kwonlyargs
    if other or tuple(names_given) != ARGUMENTS:
        raise RuleError(
            f"{file}:{node.lineno}: {function!r} takes other arguments than a rule",
            f"({ast.unparse(given)})",
            f"write 'def {function}({', '.join(ARGUMENTS)}):'",
        )
    for part in ast.walk(node):
        if isinstance(part, ast.Raise | ast.Assert | ast.Yield | ast.YieldFrom):
            word = type(part).__name__.lower()
            what = f"{file}:{part.lineno}: a rule cannot {word}"
            raise RuleError(what, "there is nobody to handle it in a compiled engine")


def _short(error: Exception) -> str:
    """The line of a compiler's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Failed in")]
    return told[0][:200] if told else type(error).__name__
