"""The decorators that compile the hot loops, and their cache.

Numba notices when the file of a cached function changes, but not when a function it calls changes
in another file.  The cache therefore lies in a folder named after the content of all sources a
function may call: those of the kernel and those that it imports from its own folder.  (House rule,
tested: compiled code calls only the kernel and its own folder.)  Code outside the package, such as
a user's dispatch rule, may call everything.

Numba compiles each function to machine code of its own, with copies of all that it calls.  Of the
eighty small functions of an event engine only two or three are ever called from Python; the others
are therefore kept as unfinished LLVM modules (:func:`compiled_inner`), to be optimised once as part
of those.  That cuts the time to compile to a third.

With ``NUMBA_DISABLE_JIT=1`` the same functions run as plain Python, for coverage and debugging.
"""

import inspect
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
from numba.core.codegen import CPUCodeLibrary, JITCPUCodegen

config: Any = numba.config

F = TypeVar("F", bound=Callable[..., Any])

PACKAGE: Final = Path(__file__).resolve().parent.parent
KEPT_SECONDS: Final = 30 * 86400.0
NATIVE, INNER, APART = 0, 1, 2
OPTIONS: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "forceinline": False}
"""What is not said here a function inherits from the one for which it is first compiled."""


def compiled(function: F) -> F:
    """Compile ``function`` with numba: cached on disk, without the GIL, IEEE division.

    Parameters
    ----------
    function
        Function of scalars, arrays and named tuples of arrays.

    Returns
    -------
    F
        Function with the same signature, compiled at its first call.
    """
    return _compile(function, {})


def compiled_inline(function: F) -> F:
    """Compile a small ``function`` that LLVM must inline into the loops that call it.

    Inlining is what lets a loop over replications run on vector registers.
    """
    return _compile(function, {"forceinline": True})


def compiled_bare(function: F) -> F:
    """Compile ``function`` without reference counting: for many short calls on large arrays.

    It must not allocate memory, nor return an array.  Counting the references of the arrays that
    a call hands on takes longer than a loop over a few dozen numbers.
    """
    return _compile(function, {"_nrt": False, "no_cfunc_wrapper": True})


def compiled_inner(function: F) -> F:
    """Compile like :func:`compiled_bare` what only compiled functions call.

    It has no machine code of its own, only as part of the functions that call it.
    """
    return _compile_inner(function, INNER)


def compiled_fused(function: F) -> F:
    """Compile like :func:`compiled_inner` what LLVM must inline: the way that every event takes."""
    return _compile_inner(function, INNER, forceinline=True)


def compiled_apart(function: F) -> F:
    """Compile like :func:`compiled_inner` what LLVM must not inline: large, and called rarely."""
    return _compile_inner(function, APART)


def _compile_inner(function: F, kind: int, **extra: Any) -> F:
    if config.DISABLE_JIT:
        return function
    bare = {"_nrt": False, "no_cfunc_wrapper": True, "no_cpython_wrapper": True}
    decorator: Any = numba.njit(**(OPTIONS | bare | extra))
    inner: F = _during_compilation(decorator(function), kind)
    return inner


def is_cold(function: Callable[..., object]) -> bool:
    """Tell whether the next call of a compiled function must wait for the compiler.

    Parameters
    ----------
    function
        Function decorated by :func:`compiled`; of any other function the answer is ``False``.

    Returns
    -------
    bool
        ``True`` if no signature is loaded and none lies in the cache on disk.
    """
    dispatcher: Any = function
    if not hasattr(dispatcher, "signatures") or dispatcher.signatures:
        return False
    folder = dispatcher.stats.cache_path
    index = f"*.{dispatcher.__name__}-{dispatcher.__code__.co_firstlineno}.*.nbi"
    return folder is None or not any(Path(folder).glob(index))


def _compile(function: F, extra: dict[str, Any]) -> F:
    if config.DISABLE_JIT:
        return function
    source = Path(inspect.getfile(function))
    folder = cache_folder(source) if source.is_file() else None
    decorator: Callable[[F], F] = numba.njit(cache=folder is not None, **(OPTIONS | extra))
    user_folder = config.CACHE_DIR
    config.CACHE_DIR = str(folder or user_folder)
    try:
        native: F = _during_compilation(decorator(function), NATIVE)
    finally:
        config.CACHE_DIR = user_folder
    return native


class _Compiling(threading.local):
    """Kinds of the functions that a thread is compiling; the last is the innermost."""

    def __init__(self) -> None:
        self.kinds: list[int] = [NATIVE]


_compiling = _Compiling()


def _during_compilation(dispatcher: Any, kind: int) -> Any:
    """Let numba's linker know while a function is compiled of what kind it is."""
    compile_once = dispatcher.compile

    def compile_marked(signature: Any) -> Any:
        _compiling.kinds.append(kind)
        try:
            return compile_once(signature)
        finally:
            _compiling.kinds.pop()

    dispatcher.compile = compile_marked
    return dispatcher


def _finalize_library(library: Any) -> None:
    """Finish the LLVM module of a function: of an inner one without machine code."""
    if _compiling.kinds[-1] == NATIVE:
        _finalize_natively(library)
        return
    if _compiling.kinds[-1] == APART:
        for function in library._final_module.functions:
            if not function.is_declaration:
                function.add_function_attribute("noinline")
    for linked in dict.fromkeys(library._linking_libraries):
        library._reload_init.update(linked._reload_init)
        library._final_module.link_in(linked._get_module_for_linking(), preserve=True)
    library._finalize_dynamic_globals()
    library._finalized = True


def _set_environment(codegen: Any, name: str, environment: Any) -> None:
    """Give a function its environment; an inner one has no place for it."""
    if codegen._engine.get_global_value_address(name):
        _set_native_environment(codegen, name, environment)


_Library: Any = CPUCodeLibrary
_Codegen: Any = JITCPUCodegen
_finalize_natively = _Library.finalize
_set_native_environment = _Codegen.set_env
_Library.finalize = _finalize_library
_Codegen.set_env = _set_environment


def cache_folder(source: Path) -> Path | None:
    """Return the folder that caches the compiled functions of the file ``source``.

    Parameters
    ----------
    source
        Python file that defines compiled functions.

    Returns
    -------
    Path or None
        A folder that exists and is writable, or ``None`` if there is none.  It lies in
        ``NUMBA_CACHE_DIR`` if the user has set that, else in the user's cache folder.
    """
    return _cache_of(sources(source.resolve()))


@lru_cache
def sources(source: Path) -> tuple[Path, ...]:
    """Return the files of the package that the compiled functions of a file may come from."""
    if PACKAGE not in source.parents:
        return tuple(sorted(PACKAGE.rglob("*.py")))
    kernel = (PACKAGE / "kernel").glob("*.py")
    return tuple(sorted({*kernel, *callees(source)}))


def callees(source: Path) -> set[Path]:
    """Return the files of the folder of ``source`` that it imports, directly or not, and itself.

    They hold all that its compiled functions may call outside the kernel.
    """
    package = ".".join(("firsttoken", *source.parent.relative_to(PACKAGE).parts))
    pattern = re.compile(
        rf"^\s*from {re.escape(package)}(?:\.(\w+))? import (\([^)]*|[\w ,]+)", re.M
    )
    found: set[Path] = set()
    ahead = {source}
    while ahead:
        file = ahead.pop()
        found.add(file)
        for module, names in pattern.findall(file.read_text(encoding="utf-8")):
            for name in [module] if module else re.findall(r"\w+", names):
                imported = source.parent / f"{name}.py"
                if imported.is_file() and imported not in found:
                    ahead.add(imported)
    return found


@lru_cache
def _cache_of(files: tuple[Path, ...]) -> Path | None:
    base = user_cache()
    path = base / source_stamp(files)
    try:
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            _prune(base)
        os.utime(path)
    except OSError:
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


def user_cache() -> Path:
    """Return the folder below which compiled code is cached, existing or not."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen) / "firsttoken"
    if chosen := os.environ.get("XDG_CACHE_HOME"):
        return Path(chosen) / "firsttoken" / "compiled"
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises without a home
    system = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    return home / system / "firsttoken" / "compiled"


def source_stamp(files: tuple[Path, ...]) -> str:
    """Return a hash of names and contents of Python files of the package."""
    digest = blake2b(digest_size=10)
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.parent.name}/{file.name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _prune(base: Path) -> None:
    """Remove caches of sources that nobody has used for a month."""
    oldest = time.time() - KEPT_SECONDS
    for folder in base.iterdir():
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
