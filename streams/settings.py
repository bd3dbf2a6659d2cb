"""``wirewatch.yaml`` and the environment: where Kafka and Redis are, and where the rules, topics and channels stand.

Every setting has a default, so that an empty file, or none, runs everything on this machine. A variable of the
environment beats the file: ``WIREWATCH_KAFKA__BOOTSTRAP_SERVERS`` is ``kafka: {bootstrap_servers: …}``.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from alerts.secret import WAY_OUT, Reference, SecretError, cover, find_reference, reference, uncover
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.duration import Duration

#: The file that is read where none is named.
DEFAULT_FILE = Path("wirewatch.yaml")
ENV_PREFIX = "WIREWATCH_"


def _in_bounds(window: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= window <= timedelta(days=30):
        raise ValueError("a window lies between 1m and 30d")
    return window


def _redis_url(value: Any) -> Any:
    found = find_reference(value)
    if found is not None:
        return found
    url = uncover(value)
    if not isinstance(url, str) or not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("a Redis URL is written like redis://host:6379/0, rediss://… for TLS, or unix:///path")
    if "@" in url and ":" in url.split("//", 1)[1].split("@", 1)[0]:
        raise ValueError(f"a URL with a password is a secret: {WAY_OUT}")
    return url


def _servers(value: Any) -> Any:
    servers = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if not isinstance(servers, list) or not servers:
        raise ValueError("servers are written like host1:9092,host2:9092")
    for server in servers:
        host, _, port = str(server).rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"a server is written like host:9092, not {server!r}")
    return ",".join(servers)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Tls(_Section):
    """TLS to Kafka or Redis. Without ``ca_file`` the system's authorities are trusted."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """An SSL context that verifies the other side."""
        context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


class Sasl(_Section):
    """A user of a Kafka cluster."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str
    password: Annotated[Reference, BeforeValidator(reference)]


class Kafka(_Section):
    """Where Kafka is, and how its topics are made. Without ``bootstrap_servers`` one is started on this machine."""

    bootstrap_servers: Annotated[str, BeforeValidator(_servers)] | None = None
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "wirewatch"
    partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    replication: Annotated[int, Field(ge=1, le=10)] = 1
    session_timeout: Duration = timedelta(seconds=10)
    tls: Tls | None = None
    sasl: Sasl | None = None


class RedisSettings(_Section):
    """Where Redis is. Without ``url`` one is started on this machine. The url may be ``env:NAME``, for its password."""

    url: Annotated[str | Reference, BeforeValidator(_redis_url)] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] = "wirewatch"
    tls: Tls | None = None


class Dedupe(_Section):
    """How long a headline is remembered, in event time."""

    window: Annotated[Duration, AfterValidator(_in_bounds)] = timedelta(hours=72)


class DeliverySettings(_Section):
    """When an alert that was not taken is tried again, and for how long."""

    retry_after: tuple[Duration, ...] = Field(default=(), max_length=50)


class Settings(_Section):
    """All settings, with their defaults."""

    kafka: Kafka = Kafka()
    redis: RedisSettings = RedisSettings()
    data_dir: Path = Path(".wirewatch")
    rules: tuple[Path, ...] = (Path("rules"),)
    taxonomy: tuple[Path, ...] = ()
    channels: Path = Path("channels.yaml")
    dedupe: Dedupe = Dedupe()
    delivery: DeliverySettings = DeliverySettings()


#: Where a user may have put a secret by mistake, so that no error quotes what stands there.
_SENSITIVE = (("kafka", "sasl", "password"), ("redis", "url"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, the file they came from, whose folder relative paths start from, and the environment for secrets."""

    settings: Settings
    file: Path | None
    environ: Mapping[str, str]

    def path(self, path: Path) -> Path:
        """``path`` as the settings file means it."""
        return path if path.is_absolute() or self.file is None else self.file.parent / path

    def redis_url(self) -> str | None:
        """The URL of Redis, or None for the embedded one.

        Raises:
            RefusedError: the secret that it refers to is not there.
        """
        url = self.settings.redis.url
        return self._resolve(url, "redis.url") if isinstance(url, Reference) else url

    def kafka_client(self, bootstrap_servers: str) -> dict[str, Any]:
        """The connection settings of aiokafka for ``bootstrap_servers``, TLS and user included.

        Raises:
            RefusedError: a secret or a certificate is not there.
        """
        kafka = self.settings.kafka
        client: dict[str, Any] = {"bootstrap_servers": bootstrap_servers}
        secure = kafka.tls is not None
        if kafka.tls is not None:
            try:
                client["ssl_context"] = kafka.tls.context()
            except (OSError, ssl.SSLError) as error:
                raise self._refused("kafka.tls", f"a certificate or key cannot be read: {error}") from None
        if kafka.sasl is not None:
            client |= {
                "sasl_mechanism": kafka.sasl.mechanism,
                "sasl_plain_username": kafka.sasl.username,
                "sasl_plain_password": self._resolve(kafka.sasl.password, "kafka.sasl.password"),
            }
        plain, tls = ("SASL_PLAINTEXT", "SASL_SSL") if kafka.sasl else ("PLAINTEXT", "SSL")
        return client | {"security_protocol": tls if secure else plain}

    def _resolve(self, secret: Reference, where: str) -> str:
        try:
            return secret.resolve(self.environ).get_secret_value()
        except SecretError as error:
            raise self._refused(where, str(error)) from None

    def _refused(self, where: str, message: str) -> RefusedError:
        return RefusedError([Problem(str(self.file or DEFAULT_FILE), 0, 0, f"`{where}`: {message}")])


def load(file: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the settings from ``file`` (or ``wirewatch.yaml``, if there is one) and the environment.

    Raises:
        RefusedError: with every problem in them.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    problems: list[Problem] = []
    document = _read(path) if path else Document("", {})
    if path:
        problems += check(_covered(document), Settings)[1]
    from_environment = _from_environment(environ, problems)
    overlay = Document("the environment", from_environment)
    if not problems:
        problems += [_name_variable(p) for p in check(_covered(overlay), Settings)[1] if "missing" not in p.message]
    if problems:
        raise RefusedError(problems)
    merged = Document("the settings", _merge(document.data or {}, from_environment))
    settings, problems = check(_covered(merged), Settings)
    if settings is None:
        raise RefusedError(problems)
    return Loaded(settings, path, environ)


def _read(path: Path) -> Document:
    try:
        document = parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        hint = "write one by `wirewatch init`"
        raise RefusedError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}", hint)]) from None
    except UnicodeDecodeError:
        raise RefusedError([Problem(str(path), 0, 0, "is not UTF-8 text", "save it as UTF-8")]) from None
    if document.data is not None and not isinstance(document.data, dict):
        raise RefusedError([document.problem((), "settings are a mapping", "write for example `data_dir: data`")])
    return document


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    """The nested mapping that the variables spell. Those of other purposes (``WIREWATCH_TOKEN``) are left alone."""
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(ENV_PREFIX):
            continue
        steps = name.removeprefix(ENV_PREFIX).lower().split("__")
        if steps[0] not in Settings.model_fields:
            if len(steps) > 1:
                hint = did_you_mean(steps[0], Settings.model_fields)
                problems.append(Problem(f"the environment variable {name}", 0, 0, "names no setting", hint))
            continue
        level = found
        for step in steps[:-1]:
            level = level.setdefault(step, {})
        level[steps[-1]] = [part.strip() for part in value.split(",")] if steps == ["rules"] else value
    return found


def _name_variable(problem: Problem) -> Problem:
    return Problem(problem.file, 0, 0, problem.message, problem.hint)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _covered(document: Document) -> Document:
    """The document with what may be a secret covered, for errors to quote."""
    data = document.data if isinstance(document.data, dict) else {}
    for path in _SENSITIVE:
        data = _cover_at(data, path)
    return Document(document.file, data, document.places, document.key_places)


def _cover_at(data: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(data, dict) or path[0] not in data:
        return data
    inner = cover(data[path[0]]) if len(path) == 1 else _cover_at(data[path[0]], path[1:])
    return data | {path[0]: inner}
