"""Hold a system against its own promises: the log, what regions made of it, what they answered.

Pure: raw items in, violations out, so that altered data can be tried in a test. It never
repairs. `reading` gets the items of a running system; `verify` puts both together.
"""

from antiphon.verification.audit import RegionItems, Verdict, audit

__all__ = ["RegionItems", "Verdict", "audit"]
