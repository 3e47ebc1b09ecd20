"""Dispatch rules of the mini-fab."""


def last_buffer_first(now, priority, arrived, due, released, work, work_left, setup_time, pieces):
    """Last buffer first served: the lot that is nearest to the end of its route.

    Kumar, Re-entrant lines, Queueing Systems 13 (1993) 87-110.
    """
    return work_left
