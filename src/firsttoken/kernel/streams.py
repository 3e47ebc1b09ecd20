"""Names of random streams: what a number is drawn for, and for whom.

A random number is addressed by (seed, replication, entity, purpose, index).  The entity is the
hash of its path in the twin, so that adding a station or a supplier does not change the numbers
of any other: scenarios compare under common random numbers.
"""

from hashlib import blake2b
from typing import Final

PARAMETER: Final = 1
PERIOD: Final = 2
DEMAND: Final = 3
YIELD: Final = 4
LEAD_TIME: Final = 5
CAPACITY: Final = 6
DISRUPTION: Final = 7
ARRIVAL: Final = 8
PROCESS: Final = 9
SETUP: Final = 10
FAILURE: Final = 11
REPAIR: Final = 12
ROUTING: Final = 13
QUALITY: Final = 14
TRANSPORT: Final = 15
WEATHER: Final = 16

PURPOSE_BITS: Final = 16
"""A purpose lies below ``2**PURPOSE_BITS``; the high bits of its word number rejected attempts."""


def entity_key(path: str) -> int:
    """Return the stable 32-bit stream key of a path of the twin.

    Parameters
    ----------
    path
        Path of the entity, for example ``"line.houston.stations.burn_in"``.

    Returns
    -------
    int
        BLAKE2b hash (RFC 7693) with a 4-byte digest, big endian, in ``[0, 2**32)``.
    """
    return int.from_bytes(blake2b(path.encode(), digest_size=4).digest(), "big")
