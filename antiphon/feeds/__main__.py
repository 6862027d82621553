"""Write the bundled feed: `python -m antiphon.feeds > antiphon/feeds/operators.jsonl`."""

import sys

from antiphon.feeds.generate import bundled
from antiphon.feeds.lines import write_line

sys.stdout.buffer.writelines(write_line(line) for line in bundled())
