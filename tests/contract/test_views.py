"""What the views of a region promise, on every engine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from projections.projection import Document, Projection
from projections.views import MAX_ROWS_A_WRITE, View, ViewStore

Race = Callable[[Callable[[int], Any]], Sequence[Any]]
ONE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"
OTHER = "sub.bbbbbbbbbbbbbbbbbbbbbbbbbb"


def lists_of(document: Document, _keys: Any) -> Mapping[str, str]:
    lists: dict[str, str] = document.get("lists", {})
    return lists


def projection(name: str = "shown", version: int = 1) -> Projection:
    return Projection(
        name=name, version=version, tags=None, apply=lambda d, _: d, list_keys=lists_of
    )


SHOWN = projection()


def view(applied: int, **document: Any) -> View:
    return View(applied, applied, {"applied": applied, **document})


def write(
    views: ViewStore, moved: View, *, before: int, rows: Sequence[int] = (), of: str = ONE
) -> bool:
    told = {position: {"row": position, "by": moved.applied} for position in rows}
    return views.write(SHOWN, of, before=before, view=moved, rows=told)


def read(views: ViewStore, of: str = ONE) -> View:
    return views.read(SHOWN, of, consistent=True)


def rows(views: ViewStore, of: str = ONE, limit: int = 200) -> list[int]:
    return [row["row"] for row in views.rows(SHOWN, of, limit=limit).documents]


def listed(views: ViewStore, value: str, index: str = "l1", limit: int = 200) -> list[Any]:
    page = views.listed(SHOWN, index=index, value=value, limit=limit)
    return [document["id"] for document in page.documents]


def test_where_nothing_was_written_a_view_is_at_zero(views: ViewStore):
    assert read(views) == View(applied=0, commit=0, document=None)
    assert views.read(SHOWN, ONE, consistent=False) == View()
    assert rows(views) == []


def test_the_first_write_is_read_back_whole(views: ViewStore):
    first = View(3, 1, {"name": "\N{SNOWMAN}", "none": None, "deep": [{"n": 2**53}], "yes": True})

    assert write(views, first, before=0)

    assert read(views) == first


def test_a_view_moves_from_exactly_where_it_stands(views: ViewStore):
    write(views, view(2), before=0)

    assert write(views, view(5), before=2)

    assert read(views) == view(5)


def test_positions_of_a_later_epoch_are_compared_whole(views: ViewStore):
    far = 7 * 10**12 + 1
    write(views, view(far), before=0)

    assert not write(views, view(far + 2), before=far + 1)
    assert write(views, view(far + 1), before=far)


def test_a_write_from_an_old_position_changes_nothing_rows_included(views: ViewStore):
    write(views, view(1), before=0, rows=[1])
    write(views, view(2), before=1, rows=[2])

    assert not write(views, view(3, stale=True), before=1, rows=[2, 3])
    assert not write(views, view(3, stale=True), before=1)

    assert read(views) == view(2)
    assert [row["by"] for row in views.rows(SHOWN, ONE, limit=9).documents] == [2, 1]


def test_a_write_from_a_position_not_reached_changes_nothing(views: ViewStore):
    assert not write(views, view(3), before=2, rows=[3])
    assert not write(views, view(3), before=2)
    assert read(views) == View()

    write(views, view(1), before=0)
    assert not write(views, view(3), before=2, rows=[3])
    assert (read(views), rows(views)) == (view(1), [])


def test_a_first_write_where_something_is_changes_nothing(views: ViewStore):
    write(views, view(1), before=0, rows=[1])

    assert not write(views, view(9), before=0, rows=[9])
    assert not write(views, view(9), before=0)

    assert (read(views), rows(views)) == (view(1), [1])


def test_of_sixteen_first_writers_one_wins(views: ViewStore, race: Race):
    won = race(lambda n: write(views, view(1, by=n), before=0))

    assert won.count(True) == 1
    assert read(views) == view(1, by=won.index(True))


def test_of_sixteen_writers_at_one_position_one_wins(views: ViewStore, race: Race):
    write(views, view(1), before=0)

    won = race(lambda n: write(views, view(2, by=n), before=1))

    assert won.count(True) == 1
    assert read(views) == view(2, by=won.index(True))


def test_of_sixteen_writers_with_rows_one_wins_and_only_its_rows_are_there(
    views: ViewStore, race: Race
):
    write(views, view(1), before=0)

    won = race(lambda n: write(views, view(100 + n), before=1, rows=[100 + n, 200 + n]))

    assert won.count(True) == 1
    winner = won.index(True)
    assert read(views) == view(100 + winner)
    assert rows(views) == [200 + winner, 100 + winner]


def test_writers_that_look_again_all_get_through(views: ViewStore, race: Race):
    def count_up(number: int) -> None:
        while True:
            before = read(views).applied
            if write(views, view(before + 1, by=number), before=before, rows=[before + 1]):
                return

    race(count_up)

    assert read(views).applied == 16
    assert rows(views) == list(range(16, 0, -1))


def test_rows_come_newest_first_without_the_head_and_go_on_by_cursor(views: ViewStore):
    far = 3 * 10**12 + 1
    write(views, view(far), before=0, rows=[1, 2, 9, 10, 11, far])

    seen: list[int] = []
    page = views.rows(SHOWN, ONE, limit=4)
    seen += [row["row"] for row in page.documents]
    assert page.following is not None
    # Newer rows come before where the reader is: they shift nothing.
    write(views, view(far + 1), before=far, rows=[far + 1])
    page = views.rows(SHOWN, ONE, limit=4, start=page.following)
    seen += [row["row"] for row in page.documents]

    assert seen == [far, 11, 10, 9, 2, 1]
    assert page.following is None


def test_as_many_rows_as_are_allowed_go_in_one_write(views: ViewStore):
    positions = range(1, MAX_ROWS_A_WRITE + 1)

    assert write(views, view(MAX_ROWS_A_WRITE), before=0, rows=positions)

    assert rows(views) == list(reversed(positions))


def test_aggregates_projections_and_versions_do_not_see_each_other(views: ViewStore):
    write(views, view(1), before=0, rows=[1])

    for another, aggregate_id in (
        (SHOWN, OTHER),
        (projection(name="other"), ONE),
        (projection(version=2), ONE),
    ):
        assert views.read(another, aggregate_id, consistent=True) == View()
        assert views.rows(another, aggregate_id, limit=9).documents == []


def test_a_view_without_a_document_still_moves(views: ViewStore):
    assert write(views, View(1, 1, None), before=0)
    assert read(views) == View(1, 1, None)

    assert write(views, view(2, id="x", lists={"l1": "a"}), before=1)
    assert listed(views, "a") == ["x"]

    assert write(views, View(3, 3, None), before=2)
    assert read(views) == View(3, 3, None)
    assert listed(views, "a") == []


def test_a_document_stands_in_the_lists_of_its_keys_and_leaves_them(views: ViewStore):
    write(views, view(1, id="x", lists={"l1": "red", "l2": "round"}), before=0)
    assert (listed(views, "red"), listed(views, "round", "l2")) == (["x"], ["x"])
    assert (listed(views, "round"), listed(views, "red", "l2")) == ([], [])

    write(views, view(2, id="x", lists={"l1": "blue", "l2": "round"}), before=1)
    assert (listed(views, "red"), listed(views, "blue")) == ([], ["x"])
    assert listed(views, "round", "l2") == ["x"]

    write(views, view(3, id="x"), before=2)
    assert (listed(views, "blue"), listed(views, "round", "l2")) == ([], [])


def test_a_refused_write_moves_nothing_between_lists(views: ViewStore):
    write(views, view(1, id="x", lists={"l1": "red"}), before=0)

    assert not write(views, view(2, id="x", lists={"l1": "blue"}), before=0)

    assert (listed(views, "red"), listed(views, "blue")) == (["x"], [])


def test_lists_of_projections_and_versions_are_apart(views: ViewStore):
    write(views, view(1, id="x", lists={"l1": "red"}), before=0)

    for another in (projection(name="other"), projection(version=2)):
        assert views.listed(another, index="l1", value="red", limit=9).documents == []


def test_a_list_goes_by_aggregate_and_its_cursor_holds_while_it_changes(views: ViewStore):
    def enter(number: int) -> None:
        entering = view(1, id=number, lists={"l1": "red"})
        assert write(views, entering, before=0, of=f"sub.{number:026d}")

    for number in (5, 1, 7, 3):
        enter(number)

    page = views.listed(SHOWN, index="l1", value="red", limit=2)
    assert [document["id"] for document in page.documents] == [1, 3]
    # One enters before where the reader is, one after it, and the one it stopped at leaves.
    enter(2)
    enter(6)
    write(views, view(2, id=3), before=1, of=f"sub.{3:026d}")
    page = views.listed(SHOWN, index="l1", value="red", limit=9, start=page.following)

    assert [document["id"] for document in page.documents] == [5, 6, 7]
    assert page.following is None


def test_many_views_are_read_at_once(views: ViewStore):
    other = projection(name="other")
    aggregates = [f"sub.{number:026d}" for number in range(130)]
    for number, aggregate_id in enumerate(aggregates[:120]):
        write(views, view(number + 1), before=0, of=aggregate_id)
    views.write(other, aggregates[0], before=0, view=view(7), rows={})

    # Repeated and unknown ones too: 260 places, more than two requests' worth.
    wanted = [(p, a) for a in aggregates for p in (SHOWN, other)]
    read = views.read_many([*wanted, *wanted[:3]])

    assert len(read) == 260
    shown = [read["shown#1", aggregate_id].applied for aggregate_id in aggregates]
    assert shown == [*range(1, 121), *[0] * 10]
    assert read["other#1", aggregates[0]] == view(7)
    assert read["other#1", aggregates[1]] == View()


def test_reading_no_views_reads_none(views: ViewStore):
    assert views.read_many([]) == {}


def test_many_large_views_are_read_though_one_answer_cannot_hold_them(views: ViewStore):
    large = "x" * 380_000
    aggregates = [f"sub.{number:026d}" for number in range(50)]
    for aggregate_id in aggregates:
        write(views, view(1, large=large), before=0, of=aggregate_id)

    read = views.read_many([(SHOWN, aggregate_id) for aggregate_id in aggregates])

    assert [read["shown#1", a].applied for a in aggregates] == [1] * 50
