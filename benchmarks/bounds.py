"""What no test can do better: the fewest failures that any valid one serves before it rolls a version back.

A test that spares versions at the limit, but for a share alpha of them, needs evidence against those that
are worse. Who knew beforehand how bad the version is and when the run ends, and looked after each request,
could stop at the best moment; when that is follows backwards from the end of the run. Nobody knows as much,
so nobody serves fewer failures.

Sources: Wald and Wolfowitz, "Optimum character of the sequential probability ratio test", Annals of
Mathematical Statistics 19 (1948); Bellman, "Dynamic Programming" (1957), for a run that ends.
"""

from __future__ import annotations

import math
from functools import lru_cache

_SIGMAS = 8.0
_TURNS = 30
_SHARE_MAX = 1 - 1e-9
_LONG = 5.0  # so many times as many requests as Wald's bound change nothing any more
_GOLDEN = (math.sqrt(5) - 1) / 2


def fewest_failures(requests: int, share: float, limit: float, alpha: float) -> float:
    """Return how many failures are served on average at least, of `requests` of which `share` fail."""
    share = min(share, _SHARE_MAX)
    enough = math.ceil(_LONG * without_end(share, limit, alpha) / share)
    return _fewest(min(requests, enough), share, limit, alpha)


@lru_cache(maxsize=256)
def _fewest(requests: int, share: float, limit: float, alpha: float) -> float:
    """Find the largest of many bounds.

    A price on each wrong rollback makes one number of failures and errors. The least of it, without what the
    allowed errors cost, is a bound whatever the price is.
    """
    low, high = 0.0, math.log(1e3 / alpha * max(requests * share, 1.0))

    def bound(log_price: float) -> float:
        price = math.exp(log_price)
        return _least_cost(requests, share, limit, price) - price * alpha

    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = bound(left), bound(right)
    for _ in range(_TURNS):  # it is concave in the price
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = bound(right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = bound(left)
        if high - low < 0.02:
            break
    return max(at_left, at_right, 0.0)


def without_end(share: float, limit: float, alpha: float) -> float:
    """Return Wald's bound, which holds for a run that goes on until the version is found."""
    entropy = share * math.log(share / limit) + (1 - share) * math.log((1 - share) / (1 - limit))
    return share * math.log(1 / alpha) / entropy


def _least_cost(requests: int, share: float, limit: float, price: float) -> float:
    """Return the least of failures served, and `price` for each wrong rollback, over all ways of stopping."""
    mean = requests * share
    most = math.ceil(mean + _SIGMAS * math.sqrt(mean) + _SIGMAS)
    # How likely a history is for a version at the limit, relative to one with this share.
    of_bad, of_good = limit / share, (1 - limit) / (1 - share)
    by_failures = [(of_bad / of_good) ** count for count in range(most + 1)]
    after = [0.0] * (most + 1)  # the cost to come, by how many have failed; one more than that costs nothing
    for served in range(requests - 1, -1, -1):
        error = price * of_good**served
        after = [
            min(error * part, share + (1 - share) * kept + share * lost)
            for part, kept, lost in zip(by_failures, after, [*after[1:], 0.0], strict=True)
        ]
    return after[0]
