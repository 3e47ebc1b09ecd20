"""The two models that all peers run, and how they report.

Each peer is a script ``python with_X.py MODEL REPLICATIONS LENGTH`` with MODEL ``mm1`` or ``line``
and LENGTH the time simulated a replication, its first tenth a warm-up.  It prints one line of JSON:
model events, CPU-seconds, and the result of each replication.

``mm1``: Poisson arrivals of rate 0.9, exponential service of rate 1, one server.  An event is an
arrival or a departure; the result is the mean time in system (10).

``line``: ten exponential stations of rate 1 in series, buffers of 10 between them, blocking after
service, never starved, never blocked at the end.  Machines fail while they work, at rate 1/100, and
are repaired at rate 1/10.  An event is an operation; the result is the throughput.
"""

import json
import sys
import time
from collections.abc import Callable

ARRIVAL_RATE = 0.9
STATIONS = 10
BUFFER = 10
MTBF = 100.0
MTTR = 10.0
WARMUP_SHARE = 0.1

Model = Callable[[float, int], tuple[int, float]]
"""From the length and the seed of a replication to its events and its result."""


def run(models: dict[str, Model]) -> None:
    """Run the model that the command line names and print what came out."""
    name, replications, length = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    started = time.process_time()
    results = [models[name](length, seed) for seed in range(1, replications + 1)]
    spent = time.process_time() - started
    events = sum(count for count, _ in results)
    print(json.dumps({"events": events, "cpu": spent, "values": [value for _, value in results]}))
