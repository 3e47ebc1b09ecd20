"""Integer codes shared by the tables and the compiled functions that read them.

The module imports nothing, so that any room may name a distribution or a series without paying
for numba.  ``docs`` of the arguments of each code stand in :mod:`firsttoken.kernel.sampling` and
:mod:`firsttoken.kernel.parameters`.
"""

from typing import Final

# Distributions: drawn once a replication.
CONSTANT: Final = 0
UNIFORM: Final = 1
TRIANGULAR: Final = 2
NORMAL: Final = 3
LOGNORMAL: Final = 4
GAMMA: Final = 5
BETA_PERT: Final = 6
EXPONENTIAL: Final = 7
WEIBULL: Final = 8
DISCRETE: Final = 9
EMPIRICAL: Final = 10

# Derived parameters: computed from earlier rows of the parameter table.
SUM: Final = 20
PRODUCT: Final = 21
SHIFT: Final = 22

# Series: how a value runs in time between knots.
STEP: Final = 0
LINEAR: Final = 1
S_CURVE: Final = 2
LEARNING: Final = 3
WRIGHT: Final = 4
NOISE: Final = 5
