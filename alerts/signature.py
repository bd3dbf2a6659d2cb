"""Standard Webhooks: who sent a webhook, and that nobody changed it.

The signature is HMAC-SHA256 over ``id.timestamp.body``, sent as ``webhook-signature: v1,<base64>``. Several
stand side by side, parted by spaces, while a secret is being rotated. Secrets are 24 to 64 random bytes,
written as ``whsec_`` and their base64. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

#: How far a webhook's timestamp may lie from the receiver's clock.
TOLERANCE = timedelta(seconds=300)

_PREFIX = "whsec_"


class SignatureError(Exception):
    """A webhook is not what it claims to be, or a secret is no secret. The message holds neither."""


def parse_secret(text: str) -> bytes:
    """The bytes of a secret ``whsec_<base64>``.

    Raises:
        SignatureError: the prefix is missing, the rest is not base64, or it is not 24 to 64 bytes.
    """
    if not text.startswith(_PREFIX):
        raise SignatureError(f"a webhook secret begins with {_PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(f"a webhook secret is {_PREFIX} and base64") from None
    if not 24 <= len(secret) <= 64:
        raise SignatureError(f"a webhook secret has 24 to 64 bytes, not {len(secret)}")
    return secret


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one message, ``v1,<base64>``. ``timestamp`` counts seconds since 1970."""
    digest = hmac.digest(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def headers(secrets: Iterable[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message sent at ``at``; the signature is left out where there is no secret."""
    timestamp = int(at.timestamp())
    fields = {ID: message_id, TIMESTAMP: str(timestamp)}
    signatures = [sign(secret, message_id, timestamp, body) for secret in secrets]
    if signatures:
        fields[SIGNATURE] = " ".join(signatures)
    return fields


def verify(secrets: Iterable[bytes], fields: Mapping[str, str], body: bytes, now: datetime) -> None:
    """Check a message that came with the headers ``fields``, their names in lower case.

    Raises:
        SignatureError: a header is missing, the timestamp is more than :data:`TOLERANCE` away from ``now``,
        or no
            ``v1`` signature is by one of ``secrets``.
    """
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not fields.get(name)]
    if missing:
        raise SignatureError(f"missing {', '.join(missing)}")
    try:
        timestamp = int(fields[TIMESTAMP])
    except ValueError:
        raise SignatureError(f"{TIMESTAMP} is not a number of seconds") from None
    if abs(now.timestamp() - timestamp) > TOLERANCE.total_seconds():
        raise SignatureError(f"{TIMESTAMP} is more than {TOLERANCE.seconds} s away from this clock")
    expected = [sign(secret, fields[ID], timestamp, body).encode() for secret in secrets]
    given = [signature.encode() for signature in fields[SIGNATURE].split()]
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise SignatureError("no signature is by a known secret")
