"""The hot operations of DynamoDB and SQS without most of botocore's cost; all else is the same.

A lean client stands on a boto3 client, which decides what is decided once or seldom: credentials,
endpoint, errors, retries. The lean one sends the requests. What it does not send itself, and every
installation that it cannot serve (a proxy, another signature), is left to boto3.
"""
