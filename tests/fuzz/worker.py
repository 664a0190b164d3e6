"""One target by atheris, for a time: `python -m tests.fuzz.worker TARGET SECONDS DIRECTORY`. In the directory, it keeps
what reaches new code, and what shows a fault.

What is tested is told to atheris as it is imported, so nothing of it may be imported before.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["gossip", "kvs", "node", "ring"]):
    from tests.fuzz.all import TARGETS
    from tests.fuzz.faults import Faults
    from tests.fuzz.target import BYTES_MAX

STUCK_S = 1200
"""Whoever takes so long does not even come back to Python; a busy machine may take much of that itself."""
MEMORY_MB = 3000
"""One that takes more, too."""
CORPUS, FOUND = "corpus", "found"


def main() -> None:
    name, seconds, directory = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    target = TARGETS[name]
    corpus, found = directory / CORPUS, directory / FOUND
    for each in (corpus, found):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    faults = Faults(target, found)

    def vary(data: bytes, bytes_max: int, number: int) -> bytes:
        rng = Random(number)
        if rng.randint(0, 1):
            mutated: bytes = atheris.Mutate(data, bytes_max)
            return mutated
        return target.varied(data, rng)[:bytes_max]

    options = {
        "max_total_time": seconds,
        "max_len": BYTES_MAX,
        "timeout": STUCK_S,
        "rss_limit_mb": MEMORY_MB,
        "artifact_prefix": f"{found}/",
        "print_final_stats": 1,
    }
    given = [sys.argv[0], str(corpus), *(f"-{option}={value}" for option, value in options.items())]
    atheris.Setup(given, faults.look, custom_mutator=vary)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
