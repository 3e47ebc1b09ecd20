"""A plain Python loop over a heap of events, as one writes it by hand."""

import heapq
from collections import deque
from random import Random

from models import ARRIVAL_RATE, BUFFER, MTBF, MTTR, STATIONS, WARMUP_SHARE, run


def mm1(length: float, seed: int) -> tuple[int, float]:
    """M/M/1: events, mean time in system."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    events = 0
    total, served = 0.0, 0
    waiting: deque[float] = deque()
    heap = [(draw(ARRIVAL_RATE), True)]
    while True:
        now, arrival = heapq.heappop(heap)
        if now > length:
            return events, total / served
        events += 1
        if arrival:
            waiting.append(now)
            heapq.heappush(heap, (now + draw(ARRIVAL_RATE), True))
            if len(waiting) == 1:
                heapq.heappush(heap, (now + draw(1.0), False))
        else:
            came = waiting.popleft()
            if now > warmup:
                total += now - came
                served += 1
            if waiting:
                heapq.heappush(heap, (now + draw(1.0), False))


def line(length: float, seed: int) -> tuple[int, float]:
    """Ten unreliable stations: operations, throughput."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    last = STATIONS - 1
    waiting = [0] * STATIONS
    idle = [True] * STATIONS
    stuck = [False] * STATIONS
    to_failure = [draw(1 / MTBF) for _ in range(STATIONS)]
    heap: list[tuple[float, int]] = []
    operations = finished = 0

    def start(now: float, i: int) -> None:
        while True:
            idle[i] = False
            work = draw(1.0)
            end = now + work
            to_failure[i] -= work
            while to_failure[i] < 0:
                end += draw(1 / MTTR)
                to_failure[i] += draw(1 / MTBF)
            heapq.heappush(heap, (end, i))
            if i == 0:
                return
            waiting[i] -= 1
            i -= 1  # a place became free: the station before may be blocked
            if not stuck[i]:
                return
            stuck[i] = False
            waiting[i + 1] += 1
            if i and not waiting[i]:
                idle[i] = True
                return

    start(0.0, 0)
    while True:
        now, i = heapq.heappop(heap)
        if now > length:
            return operations, finished / (length - warmup)
        operations += 1
        if i == last:
            finished += now > warmup
        elif idle[i + 1]:
            waiting[i + 1] += 1
            start(now, i + 1)
        elif waiting[i + 1] < BUFFER:
            waiting[i + 1] += 1
        else:
            stuck[i] = True
            continue
        if i == 0 or waiting[i]:
            start(now, i)
        else:
            idle[i] = True


if __name__ == "__main__":
    run({"mm1": mm1, "line": line})
