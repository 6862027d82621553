"""Which regions have the tables of control and keys, and whom the others ask for them.

Those tables are strongly consistent in both modes, so they are in three regions, or in two and a
witness: the first ones that are named. Values only: nothing here calls anything.
"""

from collections.abc import Callable, Sequence

# Of a strongly consistent global table: replicas, a witness included.
MEMBERS = 3
# More the functions' settings do not take, nor does the global stack.
MOST_REGIONS = 5


def states_in(
    regions: Sequence[str], region: str, *, distance: Callable[[str, str], float]
) -> tuple[str, ...]:
    """Return the regions with those tables, the nearest to `region` first; empty if all have them.

    Args:
        distance: of two regions; those at one distance stay in the order in which they are named.

    """
    if len(regions) <= MEMBERS:
        return ()
    return tuple(sorted(regions[:MEMBERS], key=lambda there: distance(region, there)))


def by_continent(region: str, there: str) -> float:
    """Return a distance by the names alone: none, the same continent, or farther."""
    if region == there:
        return 0.0
    return 1.0 if region.partition("-")[0] == there.partition("-")[0] else 2.0


def table_regions(regions: Sequence[str], *, witness: str | None, mode: str) -> dict[str, str]:
    """Return the parameters of infra/sam/global.yaml, by the regions in order."""
    names = ("FirstRegion", "SecondRegion", "ThirdRegion", "FourthRegion", "FifthRegion")
    filled = [*regions, *[""] * (len(names) - len(regions))]
    return {
        **dict(zip(names, filled, strict=True)),
        "WitnessRegion": witness or "",
        "MultiRegionConsistency": mode.upper(),
    }
