"""The decorators, their cache, and the house rule that the cache relies on."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import config
from numpy.typing import NDArray

from firsttoken.kernel import compiled

PURE = bool(config.DISABLE_JIT)


@compiled.compiled
def half(x: float) -> float:
    return x / 2


def test_division_by_zero_is_ieee_and_functions_keep_their_names() -> None:
    assert half(3.0) == 1.5
    assert half.__name__ == "half"
    assert not compiled.is_cold(half)
    assert not compiled.is_cold(len)


@compiled.compiled_inner
def raise_by(row: NDArray[np.float64], amount: float) -> None:
    for i in range(row.size):
        row[i] += amount


@compiled.compiled_bare
def raise_all(rows: NDArray[np.float64], amount: float) -> int:
    for r in range(rows.shape[0]):
        raise_by(rows[r], amount)
    return int(rows.shape[0])


def test_functions_without_reference_counting_work_on_arrays() -> None:
    rows = np.zeros((3, 4))
    assert raise_all(rows, 2.0) == 3
    assert (rows == 2.0).all()


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder set by the user, as if in a new process."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    compiled._cache_of.cache_clear()
    yield tmp_path
    compiled._cache_of.cache_clear()


def test_cold_then_warm(chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    before = config.CACHE_DIR
    first = compiled.compiled(half_source := _plain)
    assert before == config.CACHE_DIR
    assert compiled.is_cold(first)
    if PURE:
        return
    assert first(3.0) == 6.0
    assert not compiled.is_cold(first)
    again = compiled.compiled(half_source)
    assert not compiled.is_cold(again)
    assert again(3.0) == 6.0
    assert sum(again.stats.cache_hits.values()) == 1
    assert list(chosen.rglob("*.nbi"))


def _plain(x: float) -> float:
    return x * 2


def test_pure_python_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", True)
    assert compiled.compiled(_plain) is _plain
    assert compiled.compiled_inline(_plain) is _plain


def test_without_a_writable_folder_nothing_is_cached(
    chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    file = chosen / "file"
    file.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    assert compiled.cache_folder(Path(__file__)) is None
    assert compiled.is_cold(compiled.compiled(_plain))


def test_the_cache_follows_the_sources(tmp_path: Path) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("x = 1")
    first = compiled.source_stamp((one,))
    assert compiled.source_stamp((one,)) == first
    two.write_text("")
    second = compiled.source_stamp((one, two))
    two.write_text("y")
    assert len({first, second, compiled.source_stamp((one, two))}) == 3


def test_the_sources_of_a_room_are_what_it_imports_of_it() -> None:
    engine = compiled.PACKAGE / "line" / "engine.py"
    names = {file.name for file in compiled.callees(engine)}
    assert {"engine.py", "engine_work.py", "engine_queue.py", "state.py"} <= names
    assert not {"model.py", "kpi.py", "check.py"} & names


def _modules() -> list[Path]:
    return [
        f
        for f in sorted(compiled.PACKAGE.rglob("*.py"))
        if "kernel.compiled import" in f.read_text(encoding="utf-8")
    ]


def imported(file: Path) -> set[Path]:
    """The files of the folder of ``file`` that it imports, according to Python's own parser."""
    package = ".".join(file.relative_to(compiled.PACKAGE.parent).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == package:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            names.add((node.module or "").removeprefix(f"{package}."))
    return {path for name in names if (path := file.parent / f"{name}.py").is_file()}


@pytest.mark.parametrize("file", _modules(), ids=lambda f: f.stem)
def test_no_source_of_a_compiled_module_is_missed(file: Path) -> None:
    """A file missed would leave old machine code in use after it has changed."""
    found = compiled.callees(file)
    assert file in found
    assert set().union(*(imported(each) for each in found)) <= found


def test_folders_have_their_own_cache(chosen: Path) -> None:
    kernel = compiled.cache_folder(compiled.PACKAGE / "kernel" / "random.py")
    room = compiled.cache_folder(compiled.PACKAGE / "supply" / "simulate.py")
    user = compiled.cache_folder(Path(__file__))
    assert len({kernel, room, user}) == 3
    assert all(f is not None and chosen in f.parents for f in (kernel, room, user))
    compiled._cache_of.cache_clear()  # as a second process would find it
    assert compiled.cache_folder(compiled.PACKAGE / "kernel" / "random.py") == kernel


def test_old_caches_are_removed(chosen: Path) -> None:
    old, young = chosen / "firsttoken" / "old", chosen / "firsttoken" / "young"
    old.mkdir(parents=True)
    young.mkdir()
    (old / "f.nbi").write_text("")
    past = time.time() - 2 * compiled.KEPT_SECONDS
    os.utime(old, (past, past))
    compiled.cache_folder(compiled.PACKAGE / "kernel" / "random.py")
    assert not old.exists()
    assert young.exists()


def test_user_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert compiled.user_cache() == Path("/a/firsttoken")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert compiled.user_cache() == Path("/b/firsttoken/compiled")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    assert compiled.user_cache() == Path("/c/.cache/firsttoken/compiled")


def test_a_function_without_a_file_is_compiled_without_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    names: dict[str, object] = {}
    exec(compile("def f(x): return x", "<typed in>", "exec"), names)
    function = compiled.compiled(names["f"])
    assert isinstance(function, numba.core.dispatcher.Dispatcher)
    assert compiled.is_cold(function)


@pytest.mark.parametrize(
    "module", ["firsttoken.kernel", "firsttoken.kernel.codes", "firsttoken.kernel.streams"]
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print({{'numba', 'numpy', 'scipy'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("file", _modules(), ids=lambda f: f.stem)
def test_compiled_modules_depend_on_their_folder_and_the_kernel_only(file: Path) -> None:
    """Else a change elsewhere would leave a stale cache behind."""
    folder = ".".join(file.relative_to(compiled.PACKAGE.parent).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("firsttoken"):
            assert (node.module or "").startswith(("firsttoken.kernel", folder)), node.module


def test_the_kernel_imports_nothing_else_of_the_package() -> None:
    for file in (compiled.PACKAGE / "kernel").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("firsttoken"):
                assert (node.module or "").startswith("firsttoken.kernel")
