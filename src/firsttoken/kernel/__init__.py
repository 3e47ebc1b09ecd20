"""Compiled primitives that every engine is made of.

Import from the modules, each of which is named after what it holds::

    from firsttoken.kernel.random import normal, uniform
    from firsttoken.kernel.replicate import replicate

:mod:`~firsttoken.kernel.codes` and :mod:`~firsttoken.kernel.streams` import nothing and cost
nothing; :mod:`~firsttoken.kernel.statistics` needs numpy; the others import numba.
"""

__all__ = [
    "codes",
    "compiled",
    "draws",
    "events",
    "expressions",
    "memory",
    "parameters",
    "random",
    "replicate",
    "sampling",
    "series",
    "sketch",
    "statistics",
    "streamed",
    "streams",
]
