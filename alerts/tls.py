"""TLS with authorities and certificates of the user's own."""

from __future__ import annotations

import ssl
from pathlib import Path


class TlsError(Exception):
    """A certificate or key cannot be used. ``hint`` says what to do; ``setting`` is ``ca_file`` or the like, if it is one."""

    def __init__(self, message: str, hint: str = "", setting: str = "") -> None:
        super().__init__(message)
        self.setting = setting
        self.message = message
        self.hint = hint


def client_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """A context that verifies the other side, by ``ca_file`` alone where there is one, and shows ``cert_file`` if asked.

    The key stands in ``key_file``, or beside the certificate.

    Raises:
        TlsError: a file cannot be read, or is not what it should be.
    """
    for setting, file in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)):
        if file is not None:
            _read(file, setting)
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file, password="")  # nobody is asked for a password
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not PEM"
        raise TlsError(
            f"a certificate or key does not fit ({reason})", "they are PEM files, the key without a password"
        ) from None
    return context


def _read(file: Path, setting: str) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise TlsError(f"{file} cannot be read: {error.strerror}", setting=setting) from None
