"""One seed: a cluster of five machines, or six on three hosts, or up to eight, four of them in the first view, under a
workload and its faults."""

from __future__ import annotations

import gc
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from node.config import CLUSTER_DEFAULT
from node.time_limits import limits_for
from tests.sim.aliens import Aliens
from tests.sim.batches import Batches
from tests.sim.cluster import Cluster
from tests.sim.contention import Contention
from tests.sim.deciding import Deciding
from tests.sim.expiring import Expiring
from tests.sim.network import Rates
from tests.sim.sessions import Sessions
from tests.sim.upheaval import Upheaval
from tests.sim.watching import Watching
from tests.sim.workload import Workload

SIZE, MEMBERS, KEYS = 5, 4, 30
HOSTS_EVERY, HOSTS_AT, HOSTS_SIZE, PER_HOST = 12, 4, 6, 2
"""In one seed of so many, those with this remainder, machines share hosts. These seeds have two copies."""
FACTORS = (None, 2, 3)
"""One after the other, seed by seed."""
DURATION_S = 20.0
SESSIONS_EVERY, SESSIONS_S = 10, 6.0
"""In one seed of so many, the clients are sessions with causal contexts; they ask so much that a short time will do.
Every second time, views change too."""
SKEWS_MS_MAX = (20, 20, 3_600_000, 2_000)
"""How far clocks are off; these too one after the other."""
CONTENTION_AT, CONTENTION_S = 5, 8.0
"""In seeds that end in this digit, many clients use few keys at once, and nothing is cut."""
DECIDING_EVERY, DECIDING_AT, DECIDING_S = 20, 4, 20.0
"""In one seed of so many, clients change few keys by conditional writes, and both sides of cuts change the view."""
DISTANCE_EVERY, FAR_AT, SLOW_AT = 40, 25, 35
"""In one seed of so many, nodes are far apart and made for it; in another, links are slow and values large."""
FAR_MS, FAR_S = 300, 20.0
SLOW_BYTES_S, LARGE_BYTES = 1_000_000, 600_000
"""Such a value takes longer than a silence."""
EXPIRING_EVERY, EXPIRING_AT, EXPIRING_S = 80, 45, 10.0
"""In one seed of so many, keys expire; in every second of these, links are cut too."""
BATCHES_EVERY, BATCHES_AT, BATCHES_S = 80, 65, 10.0
"""In one seed of so many, clients send batches; in every second of these with one copy, links are cut too."""
WATCHING_EVERY, WATCHING_AT, WATCHING_S = 80, 5, 10.0
"""In one seed of so many, keys are watched; in every second of these, links are cut too."""
UPHEAVALS, UPHEAVAL_S, UPHEAVAL_CLIENTS = (2, 3, 7), 12.0, 6
"""Seeds that end in one of these digits are about views: faults aimed at the steps of their changes."""
UPHEAVAL_SIZES = (5, 7, 4, 5, 8)
FORGETFUL_EVERY, GRACE_S = 4, 40.0
"""In one seed of so many, deletions are remembered for this long, not a day; longer than anybody is away."""
ALIENS_EVERY, ERRORS_EVERY = 5, 7
"""In one seed of so many, another store uses an address of this one; and whoever starts a machine anew may tell it
another `VIEW`."""
CLOCKS_EVERY, CLOCKS_AT = 7, (1, 5)
"""In two seeds of so many, of those that are not about forgetting, clocks are set and machines suspended."""

FAILING_EVERY, FAILING_AT = 13, 12
"""In one seed of so many, disks fail in the midst of commits."""

END_S = 2000.0
"""No seed takes a quarter of that."""


class Result(NamedTuple):
    seed: int
    virtual_s: float
    cpu_s: float
    seen: Counter[str]
    """What happened, and how often."""
    fault: str | None
    """What promise was broken; None: none."""


def simulate(seed: int, trace: Callable[[str], None] | None = None) -> Result:
    """Run `seed`. The same seed gives the same run, given the same PYTHONHASHSEED."""
    gc.collect()  # The coroutines of an earlier cluster must not be finalized in the middle of this one.
    gc.disable()
    began = time.process_time()
    in_sessions = seed % SESSIONS_EVERY == 0
    factor, skew_ms_max = FACTORS[seed % len(FACTORS)], SKEWS_MS_MAX[seed // len(FACTORS) % len(SKEWS_MS_MAX)]
    is_forgetful = seed % FORGETFUL_EVERY == 1 and skew_ms_max < GRACE_S * 100
    timing = {"tombstone_grace_s": GRACE_S, "purge_every_s": 1.0} if is_forgetful else None
    in_batches = seed % BATCHES_EVERY == BATCHES_AT
    is_far, is_slow = seed % DISTANCE_EVERY == FAR_AT and not in_batches, seed % DISTANCE_EVERY == SLOW_AT
    if is_far:
        timing = limits_for(FAR_MS) | (timing or {})
    is_upheaval = seed % 10 in UPHEAVALS
    size, per_host = (HOSTS_SIZE, PER_HOST) if seed % HOSTS_EVERY == HOSTS_AT else (SIZE, 1)
    if is_upheaval and per_host == 1:
        size = UPHEAVAL_SIZES[seed // 10 % len(UPHEAVAL_SIZES)]
    cluster = Cluster(
        seed,
        size,
        MEMBERS,
        repl_factor=factor,
        rates=_rates(is_far, is_slow),
        skew_ms_max=skew_ms_max,
        trace=trace,
        timing=timing,
        per_host=per_host,
        disks_fail=seed % FAILING_EVERY == FAILING_AT,
    )
    seen: Counter[str] = Counter()
    aliens = _aliens(cluster, seen) if seed % ALIENS_EVERY == 2 else None
    grace_s = GRACE_S if is_forgetful else None
    # In an upheaval so many are away that one with an empty disk and a wrong `VIEW` may find nobody: it is a store of
    # its own then, until it meets the others, and is right to say that a key is new.
    errs = seed % ERRORS_EVERY == 3 and not is_upheaval
    sets_clocks = seed % CLOCKS_EVERY in CLOCKS_AT and not is_forgetful
    workload: Sessions | Contention | Deciding | Expiring | Watching | Workload
    if in_sessions:
        workload = Sessions(cluster, SESSIONS_S, sets_clocks, moves=seed % (2 * SESSIONS_EVERY) != 0)
    elif seed % EXPIRING_EVERY == EXPIRING_AT:
        workload = Expiring(cluster, EXPIRING_S, cuts=seed // EXPIRING_EVERY % 2 == 1)
    elif in_batches:
        workload = Batches(cluster, BATCHES_S, cuts=factor is None and seed // BATCHES_EVERY % 2 == 1)
    elif seed % WATCHING_EVERY == WATCHING_AT:
        workload = Watching(cluster, WATCHING_S, cuts=seed // WATCHING_EVERY % 2 == 1)
    elif seed % 10 == CONTENTION_AT:
        duration_s = FAR_S if is_far else CONTENTION_S
        workload = Contention(cluster, duration_s, LARGE_BYTES if is_slow else 0)
    elif seed % DECIDING_EVERY == DECIDING_AT:
        workload = Deciding(cluster, DECIDING_S)
    elif is_upheaval:
        workload = Workload(cluster, KEYS, UPHEAVAL_S, grace_s, aliens, errs, Upheaval, UPHEAVAL_CLIENTS, sets_clocks)
    else:
        workload = Workload(cluster, KEYS, DURATION_S, grace_s, aliens, errs, sets_clocks=sets_clocks)
    fault = None
    cluster.loop.end_s = END_S
    try:
        cluster.loop.run(workload.run())
    except Exception as error:
        fault = _innermost(cluster.loop.failures[0] if cluster.loop.failures else error)
    finally:
        gc.enable()
    return Result(seed, cluster.loop.now, time.process_time() - began, workload.seen + seen, fault)


def _rates(is_far: bool, is_slow: bool) -> Rates:
    """How bad the network is. Where nodes are far apart, no message takes longer than is made for."""
    if is_far:
        return Rates(delay_s=FAR_MS / 2000, slow=0.0)
    return Rates(bytes_s=SLOW_BYTES_S) if is_slow else Rates()


def _aliens(cluster: Cluster, seen: Counter[str]) -> Aliens:
    """Any address may be that of the other store, also one that is not in the first view; half of them have a name of
    their own."""
    rng = cluster.rng
    name = rng.choice([CLUSTER_DEFAULT, "theirs"])
    return Aliens(cluster, rng.choice(sorted(cluster.machines)), rng.randint(1, 2), rng.randint(0, 2), name, seen)


def quieten() -> None:
    """Killed processes leave coroutines behind, whose end is of no interest; nor is what nodes log of faults that were
    injected."""
    gc.freeze()  # What was imported stays, and need not be looked through before each seed.
    logging.disable(logging.CRITICAL)
    sys.unraisablehook = lambda _: None
    warnings.simplefilter("ignore", RuntimeWarning)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
