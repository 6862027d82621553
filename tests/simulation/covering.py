"""Which few seeds together meet every situation: those that the suite plays first.

    python -m tests.simulation.covering STRONG 300

plays so many seeds and prints them, for `test_clean.SEEDS` or `test_eventual.SEEDS`.
"""

import os
import sys
from collections.abc import Mapping
from typing import cast

from tests.simulation.campaign import judge_seeds
from tests.simulation.checker.findings import INVARIANTS, OF_EVENTUAL
from tests.simulation.plan import Mode
from tests.simulation.situations import expected


def cover(met: Mapping[int, frozenset[str]]) -> list[int]:
    """Return seeds that have met all that any has met: always the one that adds the most."""
    left = frozenset[str]().union(*met.values())
    chosen: list[int] = []
    while left:
        best = max(met, key=lambda seed: (len(met[seed] & left), -seed))
        chosen.append(best)
        left -= met[best]
    return sorted(chosen)


def main() -> None:
    """Play as many seeds as the command line says, and print those to choose."""
    mode, runs = cast("Mode", sys.argv[1]), int(sys.argv[2])
    wanted = expected(mode) | frozenset(INVARIANTS if mode == "STRONG" else OF_EVENTUAL)
    met = {
        judged.seed: (frozenset(judged.situations) | frozenset(judged.looked)) & wanted
        for judged in judge_seeds(range(runs), jobs=os.cpu_count() or 1, mode=mode)
    }
    chosen = cover(met)
    never = sorted(wanted - frozenset[str]().union(*met.values()))
    print(f"SEEDS = {tuple(chosen)}  # {len(chosen)} of {len(met)}; never met: {never}")  # noqa: T201


if __name__ == "__main__":
    main()
