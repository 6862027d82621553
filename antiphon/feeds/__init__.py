"""Feeds: files of commands, one JSON line each, with what must come of every one.

`lines` is the format, `operators.jsonl` the bundled feed, `generate` makes feeds of any size
from real numbering plans. Nothing here sends anything.
"""
