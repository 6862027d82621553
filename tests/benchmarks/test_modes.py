"""What docs/MODES.md says that a command costs in each mode is what the handlers ask for."""

from pathlib import Path

from tests.benchmarks.modes_cost import costs, counted

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "MODES.md"


def test_the_document_tells_what_is_counted():
    told = DOCUMENT.read_text()
    assert [row for row in costs() if row not in told] == []


def test_in_calm_a_command_costs_no_more_in_either_mode():
    usual = {name: log.write_units for name, (_, _, log) in counted().items()}
    taken_over = usual.pop("EVENTUAL, the first after a forced move")
    assert set(usual.values()) == {1}
    # A put and its check in one transaction.
    assert taken_over == 4
