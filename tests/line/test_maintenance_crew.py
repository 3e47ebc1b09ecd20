"""Maintenance of idle servers waits for its crew and begins when the crew is free."""

from pathlib import Path

import numpy as np
from tests.line.lines import compiled

from firsttoken.line.simulate import simulate

LINE = """
    pools: {technician: {count: 1}}
    stations:
      s:
        servers: 4
        time: 1 h
        maintenance: {round: {every: 10 h, takes: 1 h, crew: {technician: 1}}}
    products: {p: {releases: {r: {every: 10 h}}}}
"""


def test_one_technician_serves_idle_servers_one_after_the_other(tmp_path: Path) -> None:
    # Due on 71 occasions within 720 h, four servers an hour each: 284 server-hours.
    result = simulate(compiled(tmp_path, LINE, "horizon: 30 day"), 1, 1)
    np.testing.assert_allclose(result.state_time[0, 0, 5], 284 / 720)
    np.testing.assert_allclose(result.pool_used[0, 0], 284 / 720)
