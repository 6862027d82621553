"""Signatures are botocore's own, to the letter."""

import calendar
import time

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from handlers.lean.signing import Scope, Signer

HOST = "dynamodb.ap-south-1.amazonaws.com"
TARGET = "DynamoDB_20120810.PutItem"
TYPE = "application/x-amz-json-1.0"
KEYS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40)


def by_botocore(credentials: ReadOnlyCredentials, path: str, body: bytes) -> dict[str, str]:
    request = AWSRequest(
        method="POST",
        url=f"https://{HOST}{path}",
        data=body,
        headers={"Content-Type": TYPE, "X-Amz-Target": TARGET, "Host": HOST},
    )
    SigV4Auth(credentials, "dynamodb", "ap-south-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    access=KEYS,
    secret=KEYS,
    session=st.none() | KEYS,
    body=st.binary(max_size=200),
    path=st.sampled_from(["/", "/engine/regions"]),
)
def test_a_request_is_signed_as_botocore_signs_it(
    access: str, secret: str, session: str | None, body: bytes, path: str
):
    credentials = ReadOnlyCredentials(access, secret, session)
    expected = by_botocore(credentials, path, body)
    at_s = calendar.timegm(time.strptime(expected["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    signer = Signer(Scope("ap-south-1", "dynamodb"), host=HOST, path=path)

    # After another secret's key was kept, and then with the one that is kept.
    for secret_before in (f"{secret}x", secret):
        signed_of(signer, credentials._replace(secret_key=secret_before), body, at_s)
        signed = signed_of(signer, credentials, body, at_s)
        assert signed.items() <= expected.items()
        assert len(signed) == (6 if session else 5)


def test_a_key_is_for_its_day_only():
    credentials = ReadOnlyCredentials("a", "b", None)
    signer = Signer(Scope("ap-south-1", "dynamodb"), host=HOST, path="/")
    new = Signer(Scope("ap-south-1", "dynamodb"), host=HOST, path="/")
    signed_of(signer, credentials, b"", at_s=86_399)

    tomorrow = signed_of(signer, credentials, b"", at_s=86_400)

    assert tomorrow["x-amz-date"] == "19700102T000000Z"
    assert tomorrow == signed_of(new, credentials, b"", at_s=86_400)


def signed_of(
    signer: Signer, credentials: ReadOnlyCredentials, body: bytes, at_s: float
) -> dict[str, str]:
    lines = signer.headers(
        credentials=credentials, target=TARGET, content_type=TYPE, body=body, at_s=at_s
    )
    return dict(line.split(":", 1) for line in lines.split("\r\n") if line)
