"""The benchmark of starting starts every function, and knows which way ratios refer to."""

from tests.benchmarks import starting


def test_every_function_and_every_straightforward_one_has_a_way_to_start():
    assert set(starting.FUNCTIONS) < starting.ways().keys()
    assert next(iter(starting.ways())) == starting.BESIDE


def test_a_start_tells_what_it_took():
    ways = starting.ways()
    little = {name: ways[name] for name in ("Python alone", "projector")}

    alone, ours = starting.measure(little, rounds=1)

    assert alone["cpu_ms_ratio"] == 1
    assert ours["cpu_ms"] > alone["cpu_ms"] > 0
    assert ours["memory_mb"] > alone["memory_mb"] > 1
    assert ours["modules"] > 300
