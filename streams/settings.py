"""``wirewatch.yaml`` and the environment: where Kafka and Redis are, and where the rules, topics and channels stand.

Every setting has a default, so that an empty file, or none, runs everything on this machine. A variable of the
environment beats the file: ``WIREWATCH_KAFKA__BOOTSTRAP_SERVERS`` is ``kafka: {bootstrap_servers: …}``. Both are checked
alike, and an error names the place in the file or the variable. Relative paths start from the folder of the file that
names them; those of the environment, from the current folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import parse_qsl, urlsplit

import redis
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from alerts.outbox.interface import TERMINAL_TTL
from alerts.secret import WAY_OUT, Reference, SecretError, cover, find_reference, looks_secret, reference, uncover
from alerts.tls import TlsError, client_context
from alerts.userfile import expanded, read_text
from streams.core.document import Document, Problem, RefusedError, check, did_you_mean, parse
from streams.core.document import Path as Place
from streams.core.duration import Duration

#: The file that is read where none is named.
DEFAULT_FILE = Path("wirewatch.yaml")
ENV_PREFIX = "WIREWATCH_"


def _in_bounds(window: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= window <= timedelta(days=30):
        raise ValueError("a window lies between 1m and 30d")
    return window


def _session(span: timedelta) -> timedelta:
    if not timedelta(seconds=1) <= span <= timedelta(minutes=30):
        raise ValueError("a session time-out lies between 1s and 30m")
    return span


_REDIS_URL = "a Redis URL is written like redis://host:6379/0, rediss://… for TLS, or unix:///path"


def _redis_url(value: Any) -> Any:
    found = find_reference(value)
    if found is not None:
        return found
    url = uncover(value)
    if not isinstance(url, str):
        raise ValueError(_REDIS_URL)  # noqa: TRY004 - pydantic expects a ValueError
    _check_redis_url(url)
    if _holds_secret(url):
        raise ValueError(f"a URL with a user or password is a secret: {WAY_OUT}")
    return url


def _check_redis_url(url: str) -> None:
    """Let the client read ``url`` without connecting, since its own errors come late and quote the URL.

    Raises:
        ValueError: it is no Redis URL. The message does not quote it.
    """
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError):
        raise ValueError(_REDIS_URL) from None


def _holds_secret(url: str) -> bool:
    parts = urlsplit(url)
    return "@" in parts.netloc or any(looks_secret(name) for name, _ in parse_qsl(parts.query))


def _servers(value: Any) -> Any:
    given = uncover(value)
    servers = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
    if not isinstance(servers, list) or not servers:
        raise ValueError("servers are written like host1:9092,host2:9092")
    for server in map(str, servers):
        if "@" in server:
            raise ValueError("a server has no user and no password here: they stand in `kafka.sasl`")
        host, _, port = server.rpartition(":")
        if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError(f"a server is written like host:9092, which {server!r} is not")
    return ",".join(map(str, servers))


def _retried_in_time(waits: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    longest = sum(waits, timedelta()) * 1.1  # with the jitter
    if longest > TERMINAL_TTL:
        raise ValueError(
            f"the waits take up to {longest.total_seconds() / 86400:.1f} days together, "
            f"and an alert is tried for {TERMINAL_TTL.days} days at most"
        )
    return waits


def _remembered(age: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= age <= TERMINAL_TTL:
        raise ValueError(f"the age lies between 1m and {TERMINAL_TTL.days}d")
    return age


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Tls(_Section):
    """TLS to Kafka or Redis. Without ``ca_file`` the system's authorities are trusted."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _key_and_certificate(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("a `key_file` needs its `cert_file`")
        return self


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
    replication: Annotated[int, Field(ge=1, le=10)] | None = None
    session_timeout: Annotated[Duration, AfterValidator(_session)] = timedelta(seconds=10)
    tls: Tls | None = None
    sasl: Sasl | None = None


class RedisSettings(_Section):
    """Where Redis is. Without ``url`` one is started on this machine. The url may be ``env:NAME``, for its password."""

    url: Annotated[str | Reference, BeforeValidator(_redis_url)] | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")] = "wirewatch"
    tls: Tls | None = None


class Dedupe(_Section):
    """How long a headline is remembered, in event time, and whether one told in other words counts as a repeat.

    ``sources`` has the windows of outlets that differ, by the name that their headlines bear.
    """

    window: Annotated[Duration, AfterValidator(_in_bounds)] = timedelta(hours=72)
    stories: bool = True
    sources: dict[str, Annotated[Duration, AfterValidator(_in_bounds)]] = Field(default_factory=dict)

    @property
    def longest(self) -> timedelta:
        """The longest of all windows."""
        return max([self.window, *self.sources.values()])


class DeliverySettings(_Section):
    """When an alert that was not taken is tried again, and how old a headline may be whose alert is still sent."""

    retry_after: Annotated[tuple[Duration, ...], AfterValidator(_retried_in_time)] = Field(default=(), max_length=50)
    max_age: Annotated[Duration, AfterValidator(_remembered)] = timedelta(days=4)


class Settings(_Section):
    """All settings, with their defaults."""

    kafka: Kafka = Kafka()
    redis: RedisSettings = RedisSettings()
    data_dir: Path = Path(".wirewatch")
    rules: tuple[Path, ...] = (Path("rules"),)
    taxonomy: tuple[Path, ...] = ()
    channels: Path = Path("channels.yaml")
    subscriptions: Path = Path("subscriptions.yaml")
    routes: Path | None = None
    dedupe: Dedupe = Dedupe()
    delivery: DeliverySettings = DeliverySettings()


#: Where a user may have put a secret by mistake, so that no error quotes what stands there.
_SENSITIVE = (("kafka", "sasl", "password"), ("redis", "url"))


@dataclass(slots=True)
class _Given(Document):
    """What the file and the environment say together; ``variables`` names the variable of each value that has one."""

    variables: Mapping[Place, str] = field(default_factory=dict)

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at ``path``: in the variable that it comes from, or else at its place in the file."""
        for end in range(len(path), 0, -1):
            if variable := self.variables.get(tuple(path[:end])):
                return _in_variable(variable, message, hint)
        beside = any(place[:-1] == tuple(path[:-1]) for place in self.variables)
        if not self.file or (beside and tuple(path) not in self.places):
            missing = message.endswith(" is missing")
            return Problem("the environment", 0, 0, message, f"set `{_variable(path)}`" if missing else hint)
        return Document.problem(self, path, message, hint, key=key)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, the file they came from, and the environment for secrets.

    ``given`` is what was written, for errors to name the place.
    """

    settings: Settings
    file: Path | None
    environ: Mapping[str, str] = field(repr=False)
    given: Document = field(repr=False)

    def path(self, path: Path) -> Path:
        """``path`` as the settings file means it: from its folder."""
        return self._folder / expanded(path)

    @property
    def _folder(self) -> Path:
        return self.file.parent if self.file else Path()

    def redis_url(self) -> str | None:
        """The URL of Redis, or None for the embedded one.

        Raises:
            RefusedError: the secret that it refers to is not there, or is no URL.
        """
        url = self.settings.redis.url
        if not isinstance(url, Reference):
            return url
        text = self._resolve(url, ("redis", "url"))
        try:
            _check_redis_url(text)
        except ValueError as error:
            raise self._refused(("redis", "url"), f"what {url} holds is none: {error}") from None
        return text

    def redis_options(self, url: str) -> dict[str, str]:
        """The options that redis-py needs beside ``url``: those of TLS.

        Raises:
            RefusedError: a certificate or key cannot be read, or the URL is not for TLS.
        """
        tls = self.settings.redis.tls
        if tls is None:
            return {}
        if not url.startswith("rediss://"):
            raise self._refused(("redis", "tls"), "TLS needs a `redis.url` that begins with rediss://")
        self._tls_context(tls, ("redis", "tls"))
        files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
        return {option: str(self.path(file)) for option, file in files.items() if file}

    def kafka_client(self, bootstrap_servers: str) -> dict[str, Any]:
        """The connection settings of aiokafka for ``bootstrap_servers``, TLS and user included.

        Raises:
            RefusedError: a secret or a certificate is not there.
        """
        kafka = self.settings.kafka
        client: dict[str, Any] = {"bootstrap_servers": bootstrap_servers}
        if kafka.tls is not None:
            client["ssl_context"] = self._tls_context(kafka.tls, ("kafka", "tls"))
        if kafka.sasl is not None:
            client |= {
                "sasl_mechanism": kafka.sasl.mechanism,
                "sasl_plain_username": kafka.sasl.username,
                "sasl_plain_password": self._resolve(kafka.sasl.password, ("kafka", "sasl", "password")),
            }
        plain, tls = ("SASL_PLAINTEXT", "SASL_SSL") if kafka.sasl else ("PLAINTEXT", "SSL")
        return client | {"security_protocol": tls if kafka.tls is not None else plain}

    def _tls_context(self, tls: Tls, where: Place) -> ssl.SSLContext:
        """An SSL context that verifies the other side."""
        files = (self.path(file) if file else None for file in (tls.ca_file, tls.cert_file, tls.key_file))
        try:
            return client_context(*files)
        except TlsError as error:
            place = (*where, error.setting) if error.setting else where
            raise self._refused(place, error.message, error.hint) from None

    def _resolve(self, secret: Reference, where: Place) -> str:
        try:
            return secret.resolve(self.environ, self._folder).get_secret_value()
        except SecretError as error:
            raise self._refused(where, str(error)) from None

    def _refused(self, where: Place, message: str, hint: str = "") -> RefusedError:
        return RefusedError([self.given.problem(where, f"`{'.'.join(map(str, where))}`: {message}", hint)])


def load(file: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the settings from ``file`` (or ``wirewatch.yaml``, if there is one) and the environment.

    Raises:
        RefusedError: with every problem in them.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    document = _read(path) if path else Document("", {})
    problems = list(document.problems)
    if path:  # what is wrong in the file is told even where a variable beats it; what is missing, a variable may give
        problems += [p for p in check(_covered(document), Settings)[1] if not p.message.endswith(" is missing")]
    variables, overlay = _from_environment(environ, document, problems)
    given = _Given(
        document.file,
        _merge(document.data or {}, overlay),
        document.places,
        document.key_places,
        variables=variables,
    )
    settings, found = check(_covered(given), Settings)
    problems += found
    if settings is None or problems:
        raise RefusedError(problems)
    loaded = Loaded(settings, path, environ, given)
    if ("redis", "url") in variables:
        loaded.redis_url()  # a URL in a variable is checked like one in the file
    return loaded


def above(folder: Path) -> Path | None:
    """The settings file of the nearest folder above ``folder`` that has one; None if ``folder`` has one itself."""
    if (folder / DEFAULT_FILE).exists():
        return None
    return next((file for parent in folder.parents if (file := parent / DEFAULT_FILE).is_file()), None)


def _read(path: Path) -> Document:
    document = parse(read_text(path, "write one by `wirewatch init`", fits=_are_settings), str(path))
    if document.data is not None and not isinstance(document.data, dict):
        raise RefusedError([document.problem((), "settings are a mapping", "write for example `data_dir: data`")])
    return document


def _are_settings(file: Path) -> bool:
    """Whether a file could have been meant where another was named: rules and channels stand in the same folder."""
    try:
        return check(parse(read_text(file), str(file)), Settings)[0] is not None
    except RefusedError:
        return False


def _from_environment(
    environ: Mapping[str, str], document: Document, problems: list[Problem]
) -> tuple[dict[Place, str], dict[str, Any]]:
    """The names of the variables that are settings, by what they set, and the nested mapping that they spell.

    An empty variable counts as none. Those of other purposes (``WIREWATCH_TOKEN``) are left alone, unless they are
    nearly a setting's.
    """
    variables: dict[Place, str] = {}
    overlay: dict[str, Any] = {}
    known = {_variable(path): path for path in _all_settings(Settings)}
    given = [name for name, value in environ.items() if name.startswith(ENV_PREFIX) and value.strip()]
    for name in sorted(given, key=lambda name: (name.count("__"), name)):  # a section before its parts
        path = known.get(name.upper())
        if path is None:
            problems += _stray(name, known, document)
            continue
        annotation = _annotation(path)
        if _section(annotation) is not None and environ[name].strip() != "{}":
            part = next(variable for variable in known if variable.startswith(f"{name.upper()}__"))
            problems.append(_in_variable(name, f"`{'.'.join(path)}` has parts", f"set one of them, such as `{part}`"))
            continue
        value = _meant(annotation, name, environ[name].strip())
        variables[path] = name
        for step in reversed(path):
            value = {step: value}
        overlay = _merge(overlay, value)
    return variables, overlay


def _meant(annotation: Any, name: str, text: str) -> Any:
    """The value that a variable spells: lists are parted by commas, paths start here, secrets stay where they are.

    A mapping is a list of ``name=value``.
    """
    leaves = set(_leaves(annotation))
    if _section(annotation) is not None:
        return {}
    if dict in leaves:
        pairs = [part.partition("=") for part in text.strip("{}").split(",")]
        return {key.strip(): value.strip() for key, _, value in pairs}
    if tuple in leaves:
        parts = [part.strip() for part in text.strip("[]").split(",")]
        return [_from_here(part) for part in parts] if Path in leaves else parts
    if Path in leaves:
        return _from_here(text)
    if Reference in leaves:
        found = find_reference(text)
        if found is None:
            return f"env:{name}"
        return f"file:{_from_here(found.name)}" if found.scheme == "file" else text
    return text


def _from_here(path: str) -> str:
    return str(expanded(Path(path)).absolute())


def _stray(name: str, known: Mapping[str, Place], document: Document) -> Iterator[Problem]:
    """A variable that sets nothing, if it was meant to: it names a section, or is a setting's name nearly."""
    steps = name.upper().split("__")
    single = {variable.replace("__", "_"): variable for variable in known}
    meant = single.get(name.upper().replace("__", "_"))
    if meant is None and len(steps) == 1:
        return
    if meant is not None and len(steps) == 1 and f"env:{name}" in str(document.data):
        return  # the file says that a secret is there
    siblings = [variable for variable in known if variable.startswith(f"{steps[0]}__")] or [
        variable for variable in known if "__" not in variable.removeprefix(ENV_PREFIX)
    ]
    near = difflib.get_close_matches(_bare(name), map(_bare, known), n=1)
    meant = meant or (ENV_PREFIX + near[0] if near else None)
    hint = f"did you mean `{meant}`?" if meant else did_you_mean("", siblings)
    yield _in_variable(name, "names no setting", hint)


def _bare(variable: str) -> str:
    return variable.upper().removeprefix(ENV_PREFIX)


def _in_variable(name: str, message: str, hint: str) -> Problem:
    return Problem(f"the environment variable {name}", 0, 0, message, hint)


def _variable(path: Sequence[str | int]) -> str:
    return ENV_PREFIX + "__".join(map(str, path)).upper()


def _all_settings(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting, sections included."""
    for name, info in model.model_fields.items():
        yield (*above, name)
        section = _section(info.annotation)
        if section is not None:
            yield from _all_settings(section, (*above, name))


def _annotation(path: Place) -> Any:
    model: type[BaseModel] = Settings
    for step in path[:-1]:
        section = _section(model.model_fields[str(step)].annotation)
        assert section is not None, "all but the last step of a setting's path are sections"
        model = section
    return model.model_fields[str(path[-1])].annotation


def _section(annotation: Any) -> type[BaseModel] | None:
    return next((leaf for leaf in _leaves(annotation) if isinstance(leaf, type) and issubclass(leaf, BaseModel)), None)


def _leaves(annotation: Any) -> Iterator[Any]:
    """The types in an annotation such as ``tuple[Path, ...] | None``, the containers too."""
    origin = getattr(annotation, "__origin__", annotation)
    yield origin
    for inner in get_args(annotation):
        yield from _leaves(inner)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _covered(document: Document) -> Document:
    """The document with what may be a secret covered, for errors not to quote."""
    data = document.data if isinstance(document.data, dict) else {}
    for path in _SENSITIVE:
        data = _cover_at(data, path)
    kafka = data.get("kafka")
    if isinstance(kafka, dict) and "@" in str(kafka.get("bootstrap_servers")):
        data = _cover_at(data, ("kafka", "bootstrap_servers"))
    return dataclasses.replace(document, data=data)


def _cover_at(data: Any, path: tuple[str, ...]) -> Any:
    """``data`` with what stands at ``path`` covered, or above it, where the file has something else than a mapping."""
    if not isinstance(data, dict):
        return data if data is None else cover(data)
    if not path or path[0] not in data:
        return data if path else cover(data)
    inner = cover(data[path[0]]) if len(path) == 1 else _cover_at(data[path[0]], path[1:])
    return data | {path[0]: inner}
