"""Hold a system against its own promises: the log, what regions made of it, what they answered.

Items come from a `Source`, so that altered data can be tried in a test. It reads only; what it
finds names how it can be mended, and `repairing` does that when asked.
"""

from antiphon.verification.audit import Audit, Verdict

__all__ = ["Audit", "Verdict"]
