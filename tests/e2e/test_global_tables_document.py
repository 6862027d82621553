"""docs/GLOBAL_TABLES.md, run block by block against the running regions, as its reader would."""

import re
from pathlib import Path

import httpx
import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "GLOBAL_TABLES.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def healed(running):
    """The network is whole again, whatever a block has left."""
    yield running
    httpx.post(f"http://127.0.0.1:{running.aws_port}/_antiphon/wan", json={"action": "heal"})


def test_every_block_of_the_document_does_what_it_says(healed):
    text = DOCUMENT.read_text()
    blocks = BLOCK.findall(text)
    # All three anomalies, and Antiphon's answer to each, are among them.
    assert len(blocks) == 9
    assert sum(block.count("assert ") for block in blocks) >= 15
    names: dict = {}
    for block in blocks:
        here = block.replace("localhost:4566", f"127.0.0.1:{healed.aws_port}").replace(
            "8101 +", f"{healed.base_port + 1} +"
        )
        line = text[: text.index(block)].count("\n")
        # As many empty lines in front as make a traceback name the document's own line.
        exec(compile("\n" * line + here, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own text
