"""`antiphon smoke` against running regions: one command to each, answered and shown everywhere."""


def test_every_region_answers_a_command_and_shows_it_everywhere(running):
    result = running.cli("smoke")
    assert result.exit_code == 0, result.output
    assert result.output.count("answered after") == 3
    assert "Every region answers, and shows what was answered" in result.output
