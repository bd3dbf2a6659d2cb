"""What a channel that posts over HTTP may reach, and how it is known there: private addresses, and TLS of one's own."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from alerts.egress import Allowed
from alerts.notify.interface import ChannelError
from alerts.tls import TlsError, client_context
from alerts.userfile import expanded

_WAY = "write `true` for all private addresses, or networks such as `[10.20.0.0/16, 192.168.7.9]`"


def _allowed(value: Any) -> Allowed:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(_WAY)
    networks = []
    for text in value:
        try:
            networks.append(ipaddress.ip_network(text if isinstance(text, str) else ""))
        except ValueError:
            raise ValueError(f"`{text}` is no network: {_WAY}") from None
    return tuple(networks)


#: Which private addresses a channel may reach: ``true``, ``false``, or a list of networks.
AllowPrivate = Annotated[Allowed, BeforeValidator(_allowed)]


class ChannelTls(BaseModel):
    """Files for TLS: the authority that vouches for the receiver, and the certificate that it may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _key_and_certificate(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("a `key_file` needs its `cert_file`")
        return self

    def context(self, folder: Path) -> ssl.SSLContext:
        """The context; relative paths start from ``folder``.

        Raises:
            ChannelError: a file cannot be used.
        """
        files = (self.ca_file, self.cert_file, self.key_file)
        try:
            return client_context(*(folder / expanded(file) if file else None for file in files))
        except TlsError as error:
            setting = f"tls.{error.setting}" if error.setting else "tls"
            raise ChannelError(f"`{setting}`: {error.message}", error.hint) from None
