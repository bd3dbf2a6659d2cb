"""Standard Webhooks: who sent a webhook, and that nobody changed it.

What is signed is ``id.timestamp.body``: by HMAC-SHA256 (``webhook-signature: v1,<base64>``) or by Ed25519, whose
receiver holds no secret (``v1a,<base64>``). Several signatures stand side by side, parted by spaces, while a key is being
rotated. Secrets are 24 to 64 random bytes, written as ``whsec_`` and their base64; private keys of Ed25519 are ``whsk_``
and the base64 of the seed of 32 bytes, or of seed and public key as libsodium keeps them, and public ones ``whpk_`` and
the base64 of 32 bytes. Source:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

#: How far a webhook's timestamp may lie from the receiver's clock.
TOLERANCE = timedelta(seconds=300)

_PREFIX = "whsec_"
_PRIVATE_PREFIX = "whsk_"
_SEED = 32

#: What signs: the bytes of a secret, or a private key of Ed25519.
Key: TypeAlias = "bytes | Ed25519PrivateKey"


class SignatureError(Exception):
    """A webhook is not what it claims to be, or a secret is no secret. The message holds neither."""


def parse_secret(text: str) -> bytes:
    """The bytes of a secret ``whsec_<base64>``.

    Raises:
        SignatureError: the prefix is missing, the rest is not base64, or it is not 24 to 64 bytes.
    """
    if not text.startswith(_PREFIX):
        raise SignatureError(f"a webhook secret begins with {_PREFIX}")
    secret = _decoded(text, _PREFIX, "secret")
    if not 24 <= len(secret) <= 64:
        raise SignatureError(f"a webhook secret has 24 to 64 bytes, not {len(secret)}")
    return secret


def parse_key(text: str) -> Key:
    """A secret ``whsec_<base64>``, or a private key ``whsk_<base64>``.

    Raises:
        SignatureError: it is neither.
    """
    if text.startswith(_PRIVATE_PREFIX):
        return _parse_private_key(text)
    if text.startswith(_PREFIX):
        return parse_secret(text)
    raise SignatureError(f"a webhook secret begins with {_PREFIX}, and a private key with {_PRIVATE_PREFIX}")


def _parse_private_key(text: str) -> Ed25519PrivateKey:
    # Most commands and channels have no such key, and need not wait for what reads one.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    given = _decoded(text, _PRIVATE_PREFIX, "private key")
    if len(given) not in {_SEED, 2 * _SEED}:
        raise SignatureError(f"a private key has 32 bytes, or 64 with its public key, not {len(given)}")
    key = Ed25519PrivateKey.from_private_bytes(given[:_SEED])
    if given[_SEED:] not in {b"", key.public_key().public_bytes_raw()}:
        raise SignatureError("the second half of the private key is not its public key")
    return key


def _decoded(text: str, prefix: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureError(f"a webhook {what} is {prefix} and base64") from None


def sign(key: Key, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of one message, ``v1,`` or ``v1a,`` and base64. ``timestamp`` counts seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    if isinstance(key, bytes):
        return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return "v1a," + base64.b64encode(key.sign(signed)).decode()


def headers(keys: Iterable[Key], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a message sent at ``at``; the signature is left out where there is no key."""
    timestamp = int(at.timestamp())
    fields = {ID: message_id, TIMESTAMP: str(timestamp)}
    signatures = [sign(key, message_id, timestamp, body) for key in keys]
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
