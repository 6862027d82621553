"""A producer says who it is: what is signed is what is sent, and what is shown is of now."""

import hashlib
import hmac
from urllib.parse import quote

import httpx
import pytest
from botocore.credentials import Credentials

from antiphon.client import BearerToken, IamSignature, NotRecorded, Producer
from domain.subscriber import SuspendSubscriber

HOST = "abc123.execute-api.eu-west-1.amazonaws.com"
COMMAND = SuspendSubscriber(imsi="262011234567890", reason="fraud")
PROBLEM = {"type": "about:blank", "title": "Forbidden", "status": 403, "code": "forbidden"}


def sent_with(auth: httpx.Auth, *, host: str = HOST) -> httpx.Request:
    """Return the request that a producer sends."""
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(403, json=PROBLEM | {"detail": "you may not"})

    with (
        Producer(
            [f"https://{host}"], name="crm", auth=auth, transport=httpx.MockTransport(refuse)
        ) as producer,
        pytest.raises(NotRecorded, match="forbidden: you may not"),
    ):
        producer.send(COMMAND, command_id="a")
    [request] = requests
    return request


def signature_of(request: httpx.Request, *, secret: str) -> str:
    """Return the signature that AWS computes of a request, by its documentation."""
    names = ["host", "x-amz-date", "x-amz-security-token"]
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    digest = hashlib.sha256(request.content).hexdigest()
    path = quote(request.url.path)
    canonical = f"POST\n{path}\n\n{headers}\n{';'.join(names)}\n{digest}"
    at = request.headers["x-amz-date"]
    scope = [at[:8], "eu-west-1", "execute-api", "aws4_request"]
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{at}\n{'/'.join(scope)}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in (*scope, to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def test_a_signature_is_of_the_bytes_and_the_region_that_they_go_to():
    request = sent_with(IamSignature(Credentials("AKID", "secret", "session")))

    told = request.headers["Authorization"]
    assert "Credential=AKID/" in told
    assert "/eu-west-1/execute-api/aws4_request" in told
    assert told.endswith(f"Signature={signature_of(request, secret='secret')}")


def test_a_host_of_ones_own_needs_its_region_told():
    with pytest.raises(ValueError, match="region_of"):
        sent_with(IamSignature(Credentials("AKID", "secret")), host="api.example.com")

    auth = IamSignature(Credentials("AKID", "secret"), region_of=lambda _host: "ap-south-1")
    assert (
        "/ap-south-1/execute-api/"
        in sent_with(auth, host="api.example.com").headers["Authorization"]
    )


def test_a_token_is_the_one_of_now():
    tokens = iter(["first", "second"])
    auth = BearerToken(lambda: next(tokens))

    assert sent_with(auth).headers["Authorization"] == "Bearer first"
    assert sent_with(auth).headers["Authorization"] == "Bearer second"
    assert sent_with(BearerToken("fixed")).headers["Authorization"] == "Bearer fixed"
