"""The W3C `traceparent` of a command: the caller's, or a new one where there is none.

The caller's is handed on as it came, with the commit, its acknowledgements and its answer, so
what listens for answers goes on with the caller's own trace. One that is not valid is ignored,
and a new trace is started: that is what the specification asks for.
https://www.w3.org/TR/trace-context/
"""

import re
import secrets

# Version 00 has exactly these four parts; a later one may have more behind them. No `ff`.
_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-[\x21-\x7e]{1,128})?"
)
# X-Ray's own header: its trace id is the W3C one with a time set apart.
_XRAY_ROOT = re.compile(r"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})\s*(?:;|$)")
_XRAY_SAMPLED = re.compile(r"(?:^|;)\s*Sampled=1\s*(?:;|$)")


def traceparent_of(given: str | None, *, xray: str | None = None) -> str:
    """Return the caller's traceparent if it is valid, else that of a new trace.

    Args:
        given: what the caller sent, if anything.
        xray: the `X-Amzn-Trace-Id` of the request; the new trace is X-Ray's, where there is one.

    """
    if given is not None and _is_valid(given):
        return given
    root = _XRAY_ROOT.search(xray or "")
    trace_id = "".join(root.groups()) if root else secrets.token_hex(16)
    sampled = root is not None and _XRAY_SAMPLED.search(xray or "") is not None
    return f"00-{trace_id}-{secrets.token_hex(8)}-{'01' if sampled else '00'}"


def _is_valid(text: str) -> bool:
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (found["version"] == "00" and found["more"]):
        return False
    return found["trace"].strip("0") != "" and found["parent"].strip("0") != ""
