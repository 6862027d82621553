"""The secret that identifiers and tokens are keyed with, in a file that its owner alone reads.

Whoever loses it cannot restore a backup. Another one in its place is refused where it matters.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

# What the template asks of it.
SECRET_LENGTH = 32


def secret_in(file: Path, *, make: bool) -> str:
    """Return the secret that a file holds.

    Args: make: whether a file that is missing is made, with a new secret.
    Raises: OSError, UnicodeDecodeError, or ValueError if what it holds is no secret.
    """
    if make and not file.exists():
        # Nobody else may read it, not even for a moment.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_hex(32))
    secret = file.read_text().strip()
    if len(secret) < SECRET_LENGTH:
        raise ValueError(f"{file} holds no secret: it needs at least {SECRET_LENGTH} characters")
    return secret
