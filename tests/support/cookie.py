# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The tunnel cookie as docs/http.md describes it, made and taken out of Cookie fields by code that
# shares nothing with ours.

import hashlib
import hmac
import time

OURS = ("tunneld_", "__Host-tunneld_")


def make(tunnel, secret, expiry=None):
    """`name=value` of the cookie that lets in until EXPIRY (seconds since the epoch)."""
    expiry = int(time.time()) + 60 if expiry is None else expiry
    key = hashlib.sha256(secret.encode()).digest()
    mac = hmac.new(key, f"tunneld-cookie:{tunnel}:{expiry}".encode(), "sha256").hexdigest()
    return f"tunneld_{tunnel}={expiry}.{mac}"


def strip(value):
    """What a backend gets to see of a Cookie field's value; None: there is no such field."""
    if "tunneld_" not in value:
        return value
    kept = [piece for piece in value.split(";")
            if piece.strip(" \t") and not piece.lstrip(" \t=").startswith(OURS)]
    return ";".join(kept).strip(" \t") if kept else None
