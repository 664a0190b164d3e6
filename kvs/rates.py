"""What a node does a second, from two looks at its `/metrics`: how many requests for keys, and how long they take.

Pure: the text of a look and the seconds between two of them in, numbers out. Of the text format of Prometheus it knows
what these two families need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

REQUESTS = "kvs_requests_total"
FOR_KEYS = ("/kvs/keys", "/kvs/batch", "/kvs/export", "/kvs/watch")
"""How the routes begin of requests for keys. Others are those of operators and of what watches the nodes: a look asks
for some itself, and would show a store at rest at work."""
BUCKETS = "kvs_request_duration_seconds_bucket"

_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? ([-+0-9.eE]+|[+-]?Inf|NaN)$")
_LE = re.compile(r'(?:^|,)le="([^"]+)"')
_ROUTE = re.compile(r'(?:^|,)route="([^"]+)"')


class Sample(NamedTuple):
    """What had been counted at one moment since the node's start."""

    requests: float
    """For keys."""
    buckets: Mapping[float, float]
    """For each upper bound in seconds, how many requests for keys took no longer."""


class Rates(NamedTuple):
    """What happened between two moments. None: nobody knows."""

    ops_s: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


UNKNOWN = Rates()


def sample_of(text: str) -> Sample | None:
    """None: nothing is counted there."""
    requests, buckets = None, dict[float, float]()
    for line in text.splitlines():
        if not (found := _LINE.match(line)):
            continue
        name, labels, value = found[1], found[2] or "", float(found[3])
        if name == REQUESTS:
            route = _ROUTE.search(labels)
            requests = (requests or 0.0) + (value if route and route[1].startswith(FOR_KEYS) else 0.0)
        elif name == BUCKETS and (le := _LE.search(labels)) is not None:
            bound = float(le[1])
            buckets[bound] = buckets.get(bound, 0.0) + value
    return None if requests is None else Sample(requests, buckets)


def rates_between(before: Sample | None, after: Sample | None, seconds: float) -> Rates:
    """Unknown where the node was started in between, and counts anew."""
    if before is None or after is None or after.requests < before.requests or seconds <= 0:
        return UNKNOWN
    took = {bound: count - before.buckets.get(bound, 0.0) for bound, count in sorted(after.buckets.items())}
    return Rates((after.requests - before.requests) / seconds, _quantile_ms(took, 0.5), _quantile_ms(took, 0.99))


def _quantile_ms(took: Mapping[float, float], share: float) -> float | None:
    """How long so large a part of the requests took at most, evenly spread within a bucket; None: there were none."""
    total = max(took.values(), default=0.0)
    if total <= 0:
        return None
    wanted, below, counted = share * total, 0.0, 0.0
    for bound, count in took.items():
        if count >= wanted:
            if bound == float("inf"):
                return 1000 * below
            return 1000 * (below + (bound - below) * (wanted - counted) / (count - counted))
        below, counted = bound, count
    return 1000 * below
