"""What docs/DEPLOY.md says that events cost is what the script finds, and prices say where from."""

from pathlib import Path

import yaml

from tests.benchmarks.cost import antiphon, measured, prices, rows, servers

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "DEPLOY.md"


def test_the_document_tells_what_the_script_finds():
    told = DOCUMENT.read_text()
    assert [row for row in rows() if row not in told] == []


def test_every_price_says_where_it_is_from_and_whether_that_was_looked_at():
    for name, one in yaml.safe_load((HERE / "prices.yaml").read_text()).items():
        assert one.keys() == {"usd", "source", "checked"}, name
        assert one["usd"] > 0


def test_a_commit_is_paid_for_at_each_replica_and_a_view_in_each_region():
    one = measured(1)
    # The commit three times, three views of five units and two of indexes, the answer.
    assert one.write_units >= 3 + 3 * 7 + 3
    assert one.messages == 3 + 3
    price = prices()
    used = antiphon(one, price, batch=1)
    # A fleet that idles costs the more an event, the fewer there are.
    assert servers(used, price, rate=10) > servers(used, price, rate=1_000)
