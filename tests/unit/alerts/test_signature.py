from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from alerts import signature

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OTHER = bytes(range(1, 33))


def now() -> datetime:
    """The real time: the peer library reads the machine's clock."""
    return datetime.now(UTC)


@given(body=st.text().map(str.encode), name=st.text("abcdefghij_0123456789", min_size=1))
def test_the_reference_library_verifies_what_we_sign(body: bytes, name: str) -> None:
    fields = signature.headers([KEY], name, now(), body)
    Webhook(SECRET).verify(body, fields, json_parse=False)


def test_the_reference_library_and_we_sign_alike() -> None:
    at = datetime(2025, 3, 3, 12, tzinfo=UTC)
    ours = signature.sign(KEY, "msg_1", int(at.timestamp()), b'{"a":1}')
    assert ours == Webhook(SECRET).sign("msg_1", at, '{"a":1}')


def test_the_reference_library_refuses_another_body() -> None:
    fields = signature.headers([KEY], "msg_1", now(), b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"[]", fields, json_parse=False)


def test_while_a_secret_is_rotated_either_one_verifies() -> None:
    at = now()
    fields = signature.headers([OTHER, KEY], "msg_1", at, b"{}")
    assert fields["webhook-signature"].count("v1,") == 2
    Webhook(SECRET).verify(b"{}", fields, json_parse=False)
    signature.verify([KEY], fields, b"{}", at)
    signature.verify([OTHER], fields, b"{}", at)


def test_without_a_secret_there_is_an_id_but_no_signature() -> None:
    assert set(signature.headers([], "msg_1", now(), b"")) == {"webhook-id", "webhook-timestamp"}


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_five_minutes_of_difference_between_clocks_are_tolerated(seconds: int) -> None:
    at = datetime(2025, 3, 3, 12, tzinfo=UTC)
    signature.verify([KEY], signature.headers([KEY], "m", at, b""), b"", at + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-301, 301, 86400])
def test_more_is_refused(seconds: int) -> None:
    at = datetime(2025, 3, 3, 12, tzinfo=UTC)
    with pytest.raises(signature.SignatureError, match="300 s away"):
        signature.verify([KEY], signature.headers([KEY], "m", at, b""), b"", at + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"webhook-id": "another"}, "no signature"),
        ({"webhook-id": ""}, "missing webhook-id"),
        ({"webhook-timestamp": "soon"}, "not a number"),
        ({"webhook-signature": "v1,AAAA"}, "no signature"),
        ({"webhook-signature": "v1a,é"}, "no signature"),
        ({"webhook-signature": ""}, "missing webhook-signature"),
    ],
)
def test_what_was_tampered_with_is_refused(change: dict[str, str], message: str) -> None:
    at = now()
    fields = signature.headers([KEY], "m", at, b"{}") | change
    with pytest.raises(signature.SignatureError, match=message):
        signature.verify([KEY], fields, b"{}", at)


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_have_24_to_64_bytes(size: int) -> None:
    assert signature.parse_secret("whsec_" + base64.b64encode(bytes(size)).decode()) == bytes(size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "24 to 64 bytes, not 23"),
        ("whsec_" + base64.b64encode(bytes(65)).decode(), "24 to 64 bytes, not 65"),
        ("whsec_hunter2!", "base64"),
        (base64.b64encode(KEY).decode(), "begins with whsec_"),
        ("whsec_é", "base64"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str, message: str) -> None:
    with pytest.raises(signature.SignatureError, match=message) as caught:
        signature.parse_secret(text)
    assert text.removeprefix("whsec_") not in str(caught.value)


# --- Ed25519

PRIVATE = Ed25519PrivateKey.from_private_bytes(KEY)
PUBLIC = PRIVATE.public_key().public_bytes_raw()


def whsk(key: bytes) -> str:
    return "whsk_" + base64.b64encode(key).decode()


@pytest.mark.parametrize("text", [whsk(KEY), whsk(KEY + PUBLIC)])
def test_a_private_key_signs_what_its_public_key_verifies(text: str) -> None:
    key = signature.parse_key(text)
    version, encoded = signature.sign(key, "msg_1", 1741003200, b"{}").split(",")
    assert version == "v1a"
    PRIVATE.public_key().verify(base64.b64decode(encoded), b"msg_1.1741003200.{}")


def test_both_kinds_of_signature_stand_side_by_side() -> None:
    fields = signature.headers([signature.parse_key(SECRET), PRIVATE], "msg_1", now(), b"{}")
    assert [one.split(",")[0] for one in fields["webhook-signature"].split(" ")] == ["v1", "v1a"]
    Webhook(SECRET).verify(b"{}", fields, json_parse=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (whsk(KEY[:31]), "not 31"),
        (whsk(KEY + OTHER), "not its public key"),
        ("whsk_***", "whsk_ and base64"),
        ("whpk_" + base64.b64encode(PUBLIC).decode(), "whsec_, and a private key with whsk_"),
    ],
)
def test_what_is_no_private_key_is_refused_and_not_shown(text: str, message: str) -> None:
    with pytest.raises(signature.SignatureError, match=message) as caught:
        signature.parse_key(text)
    assert text[5:] not in str(caught.value)
