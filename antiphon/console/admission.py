"""Who may talk to the console: pages of its own, opened on this machine.

It listens on the loopback interface, which any web page in a browser here can reach too. So
every request must name this machine as its host (a foreign name that was made to point here does
not), and what changes anything must come from a page of the console's own. What is served may
load, run and send nothing but the console's own.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# The header that a page of another origin cannot send without being asked about it first.
OWN_HEADER = "Antiphon-Console"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAFE = frozenset({"GET", "HEAD"})
_ASKED = "/api/"
# What browsers say of a request from another page; another port of this machine is one, too.
_FOREIGN_SITES = frozenset({"cross-site", "same-site"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def admission(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse whoever may not talk to the console; give every answer its headers."""
    if (why := refusal(request)) is not None:
        return web.json_response({"message": why}, status=HTTPStatus.FORBIDDEN, headers=HEADERS)
    return await handler(request)


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer its headers, before the first byte of it is sent."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def refusal(request: web.Request) -> str | None:
    """Why a request is refused; None if it is not."""
    host = request.headers.get("Host", "")
    if urlsplit(f"//{host}").hostname not in LOOPBACK_NAMES:
        return f"the console is not {host}; open it as localhost"
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{host}":
        return f"a page of {origin} may not use the console"
    if request.path.startswith(_ASKED) and request.headers.get("Sec-Fetch-Site") in _FOREIGN_SITES:
        return "only the console's own page may ask here"
    if request.method not in _SAFE and request.headers.get(OWN_HEADER) is None:
        return f"what changes anything needs the header {OWN_HEADER}"
    return None
