"""Counter-based random streams: every number has an address and is computed from it.

``Philox4x32-10`` (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC11,
2011) turns a 128-bit counter and a 64-bit key into 128 random bits.  The key is the seed; the
counter is (index, replication, entity, purpose).  There is no state to store, share or advance:
results cannot depend on the order of the draws or on the number of threads, and two scenarios
with the same seed see the same numbers.

The integers of an address are read modulo 2**32 (the seed modulo 2**64).  All arithmetic is on
64-bit integers with masks, which is exact both in Python and when compiled.
"""

import math
from typing import Final

import numpy as np

from firsttoken.kernel.compiled import compiled_inline
from firsttoken.kernel.streams import ARRIVAL as ARRIVAL
from firsttoken.kernel.streams import CAPACITY as CAPACITY
from firsttoken.kernel.streams import DEMAND as DEMAND
from firsttoken.kernel.streams import DISRUPTION as DISRUPTION
from firsttoken.kernel.streams import FAILURE as FAILURE
from firsttoken.kernel.streams import LEAD_TIME as LEAD_TIME
from firsttoken.kernel.streams import PARAMETER as PARAMETER
from firsttoken.kernel.streams import PERIOD as PERIOD
from firsttoken.kernel.streams import PROCESS as PROCESS
from firsttoken.kernel.streams import PURPOSE_BITS as PURPOSE_BITS
from firsttoken.kernel.streams import QUALITY as QUALITY
from firsttoken.kernel.streams import REPAIR as REPAIR
from firsttoken.kernel.streams import ROUTING as ROUTING
from firsttoken.kernel.streams import SETUP as SETUP
from firsttoken.kernel.streams import TRANSPORT as TRANSPORT
from firsttoken.kernel.streams import WEATHER as WEATHER
from firsttoken.kernel.streams import YIELD as YIELD
from firsttoken.kernel.streams import entity_key as entity_key

MASK: Final = 0xFFFFFFFF
M0: Final = 0xD2511F53
M1: Final = 0xCD9E8D57
W0: Final = 0x9E3779B9
W1: Final = 0xBB67AE85
STEP_52: Final = 2.0**-52


@compiled_inline
def philox4x32(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Return the four random words of a counter under a key, ten rounds.

    Parameters
    ----------
    c0, c1, c2, c3
        Words of the counter, read modulo 2**32.
    k0, k1
        Words of the key, read modulo 2**32.

    Returns
    -------
    tuple of int
        Four words in ``[0, 2**32)``, as in Random123 (Salmon et al. 2011).
    """
    x0 = int(c0) & MASK
    x1 = int(c1) & MASK
    x2 = int(c2) & MASK
    x3 = int(c3) & MASK
    key0 = int(k0) & MASK
    key1 = int(k1) & MASK
    for _ in range(10):
        p0 = M0 * x0
        p1 = M1 * x2
        x0 = ((p1 >> 32) & MASK) ^ x1 ^ key0
        x1 = p1 & MASK
        x2 = ((p0 >> 32) & MASK) ^ x3 ^ key1
        x3 = p0 & MASK
        key0 = (key0 + W0) & MASK
        key1 = (key1 + W1) & MASK
    return x0, x1, x2, x3


@compiled_inline
def uniform(seed: int, replication: int, entity: int, purpose: int, index: int) -> float:
    """Return the uniform number at an address, in the open interval (0, 1).

    Parameters
    ----------
    seed
        Key of the whole run; 0 <= seed < 2**63.
    replication, entity, purpose, index
        Address, each in ``[0, 2**32)``.

    Returns
    -------
    float
        One of the 2**52 midpoints ``(n + 1/2) / 2**52``: never 0 or 1, symmetric about 1/2, so
        that every inverse distribution function is finite.
    """
    x0, x1, _, _ = philox4x32(index, replication, entity, purpose, seed, seed >> 32)
    return (((x0 << 20) | (x1 >> 12)) + 0.5) * STEP_52


@compiled_inline
def uniform2(
    seed: int, replication: int, entity: int, purpose: int, index: int
) -> tuple[float, float]:
    """Return two independent uniform numbers of one address, for the price of one.

    The first equals :func:`uniform` of the same address.
    """
    x0, x1, x2, x3 = philox4x32(index, replication, entity, purpose, seed, seed >> 32)
    return (
        (((x0 << 20) | (x1 >> 12)) + 0.5) * STEP_52,
        (((x2 << 20) | (x3 >> 12)) + 0.5) * STEP_52,
    )


@compiled_inline
def normal(seed: int, replication: int, entity: int, purpose: int, index: int) -> float:
    """Return the standard normal number at an address.

    It is the normal quantile of :func:`uniform` of the same address, hence increasing in it: a
    change of mean or deviation between scenarios moves every draw the same way.
    """
    return normal_quantile(uniform(seed, replication, entity, purpose, index))


@compiled_inline
def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile of a probability in (0, 1).

    Source: Wichura, Algorithm AS 241: The percentage points of the normal distribution, Applied
    Statistics 37 (1988) 477-484, routine PPND16; relative accuracy about 1e-16.
    """
    q = probability - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _ppnd_centre(r)
    r = math.sqrt(-log_normal_float(min(probability, 1.0 - probability)))
    z = _ppnd_middle(r - 1.6) if r <= 5.0 else _ppnd_far(r - 5.0)
    return -z if q < 0.0 else z


@compiled_inline
def log_normal_float(x: float) -> float:
    """Return the natural logarithm of a positive, finite, normal (not subnormal) float.

    Plain arithmetic instead of a library call: the same bits on every platform, and loops over it
    vectorise.  Source: e_log.c of FreeBSD msun (Sun Microsystems 1993); error below 1 ulp.
    """
    bits = np.float64(x).view(np.int64) + 0x95F619980C433
    exponent = (bits >> 52) - 1023
    mantissa = np.int64((bits & 0xFFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD).view(np.float64)
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    odd = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    high = exponent * 6.93147180369123816490e-01
    low = exponent * 1.90821492927058770002e-10
    return float(high - ((half - (s * (half + even + odd) + low)) - f))


@compiled_inline
def _ppnd_centre(r: float) -> float:
    """AS 241: |p - 1/2| <= 0.425; the quantile divided by p - 1/2."""
    top = 2.5090809287301226727e3
    top = top * r + 3.3430575583588128105e4
    top = top * r + 6.7265770927008700853e4
    top = top * r + 4.5921953931549871457e4
    top = top * r + 1.3731693765509461125e4
    top = top * r + 1.9715909503065514427e3
    top = top * r + 1.3314166789178437745e2
    top = top * r + 3.3871328727963666080e0
    low = 5.2264952788528545610e3
    low = low * r + 2.8729085735721942674e4
    low = low * r + 3.9307895800092710610e4
    low = low * r + 2.1213794301586595867e4
    low = low * r + 5.3941960214247511077e3
    low = low * r + 6.8718700749205790830e2
    low = low * r + 4.2313330701600911252e1
    return top / (low * r + 1.0)


@compiled_inline
def _ppnd_middle(r: float) -> float:
    """AS 241: sqrt(-log p) <= 5; the size of the quantile."""
    top = 7.74545014278341407640e-4
    top = top * r + 2.27238449892691845833e-2
    top = top * r + 2.41780725177450611770e-1
    top = top * r + 1.27045825245236838258e0
    top = top * r + 3.64784832476320460504e0
    top = top * r + 5.76949722146069140550e0
    top = top * r + 4.63033784615654529590e0
    top = top * r + 1.42343711074968357734e0
    low = 1.05075007164441684324e-9
    low = low * r + 5.47593808499534494600e-4
    low = low * r + 1.51986665636164571966e-2
    low = low * r + 1.48103976427480074590e-1
    low = low * r + 6.89767334985100004550e-1
    low = low * r + 1.67638483018380384940e0
    low = low * r + 2.05319162663775882187e0
    return top / (low * r + 1.0)


@compiled_inline
def _ppnd_far(r: float) -> float:
    """AS 241: sqrt(-log p) > 5; the size of the quantile."""
    top = 2.01033439929228813265e-7
    top = top * r + 2.71155556874348757815e-5
    top = top * r + 1.24266094738807843860e-3
    top = top * r + 2.65321895265761230930e-2
    top = top * r + 2.96560571828504891230e-1
    top = top * r + 1.78482653991729133580e0
    top = top * r + 5.46378491116411436990e0
    top = top * r + 6.65790464350110377720e0
    low = 2.04426310338993978564e-15
    low = low * r + 1.42151175831644588870e-7
    low = low * r + 1.84631831751005468180e-5
    low = low * r + 7.86869131145613259100e-4
    low = low * r + 1.48753612908506148525e-2
    low = low * r + 1.36929880922735805310e-1
    low = low * r + 5.99832206555887937690e-1
    return top / (low * r + 1.0)
