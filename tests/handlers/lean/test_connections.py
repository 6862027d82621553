"""What only the two ends of a connection can show."""

import socket

from handlers.lean.connections import _Connection
from tests.handlers.lean.server import http


def test_an_answer_that_came_before_the_request_could_be_sent_is_read():
    # A server that refuses a request by its size answers, closes, and reads no further.
    ours, theirs = socket.socketpair()
    theirs.sendall(http(413, b"{}", connection="close"))
    theirs.close()

    answer = _Connection(ours).exchange(b"x" * 100_000)

    assert (answer.status_code, answer.content) == (413, b"{}")
    ours.close()
