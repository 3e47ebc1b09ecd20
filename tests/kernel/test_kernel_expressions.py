"""Sums of products of series against the same written in numpy."""

import numpy as np

from firsttoken.kernel.expressions import Expressions, evaluate_expressions


def test_sums_of_products() -> None:
    x = np.random.default_rng(3).normal(size=(4, 5))
    # nothing; 1; x0 x1; x2 + x3 x3 x0
    expressions = Expressions(
        term=np.array([0, 0, 1, 2, 4]),
        factor=np.array([0, 0, 2, 3, 6]),
        series=np.array([0, 1, 2, 3, 3, 0]),
    )
    out = np.full((4, 5), np.nan)
    evaluate_expressions(expressions, x, out)
    expected = [np.zeros(5), np.ones(5), x[0] * x[1], x[2] + x[3] * x[3] * x[0]]
    np.testing.assert_allclose(out, expected, rtol=1e-14)
