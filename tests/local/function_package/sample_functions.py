"""Functions that do nothing but what the tests of the local regions need to see.

Imported by the function host in place of the real handlers; never by a test.
"""

from __future__ import annotations


def build_handler(environment, region):
    function = environment["ANTIPHON_FUNCTION"]

    def handler(event, context):
        return {"statusCode": 200, "body": f"{function} in {region}"}

    return handler
