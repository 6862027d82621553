"""The edge of the real process: what runs side by side, and what its clocks say."""

import threading

from handlers.edge import Threads, real_edge


def test_tasks_run_at_the_same_time_and_tell_their_errors_in_order():
    met = threading.Barrier(2, timeout=5)
    wrong = ValueError("wrong")

    def meets() -> None:
        met.wait()

    def meets_and_fails() -> None:
        met.wait()
        raise wrong

    assert Threads(2)([meets, meets_and_fails]) == [None, wrong]


def test_what_is_not_done_in_time_goes_on_and_tells_nothing():
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        may_end.wait(5)
        ended.set()

    assert Threads(1)([slow], within_s=0.01) == [None]

    may_end.set()
    assert ended.wait(5)
    assert begun.is_set()


def test_the_wall_clock_is_one_in_both_its_forms():
    edge = real_edge(threads=1)

    before = edge.now_ms()
    now = edge.clock.now()

    assert before <= int(now.timestamp() * 1000) <= edge.now_ms()
    assert now.utcoffset() is not None
