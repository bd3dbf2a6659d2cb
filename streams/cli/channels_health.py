"""``wirewatch channels enable``, and how channels do for ``channels list``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.channels import load_channels
from alerts.health import Disabled, RedisHealth
from connectors.embedded import EmbeddedError
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
)
from streams.cli.services import addresses, ask_redis
from streams.core.document import did_you_mean
from streams.settings import Loaded

T = TypeVar("T")


def enable(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel, as `channels list` shows it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring back a channel that was disabled. All workers know of it within two seconds.

    What came for it meanwhile is dead: `wirewatch deliveries retry --channel NAME --all` sends it after all.

    Examples:

        wirewatch channels enable desk
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        known = load_channels(loaded.path(loaded.settings.channels))
        if channel not in known:
            tell_error(f"there is no channel `{channel}`", did_you_mean(channel, known))
            raise typer.Exit(Exit.USAGE)
        enabled = ask_health(loaded, lambda store: store.enable(channel))
    if as_json:
        print_json({"channel": channel, "was_disabled": enabled})
    else:
        out.print(f"{channel} is enabled" if enabled else f"{channel} was not disabled", markup=False)


def disabled_channels(loaded: Loaded) -> Mapping[str, Disabled] | None:
    """The disabled channels by name; None where it cannot be known, for Redis does not answer or does not run."""
    try:
        return ask_health(loaded, lambda store: store.disabled())
    except (UnreachableError, EmbeddedError):
        return None


def ask_health(loaded: Loaded, ask: Callable[[RedisHealth], Awaitable[T]]) -> T:
    """Ask how channels do.

    Raises:
        UnreachableError: Redis is away.
    """
    where = addresses(loaded)

    async def asked() -> T:
        await ask_redis(where)
        async with Redis.from_url(where.redis_url, socket_timeout=5, **where.redis_options) as redis:
            return await ask(RedisHealth(redis, prefix=loaded.settings.redis.prefix))

    try:
        return asyncio.run(asked())
    except (RedisError, OSError) as error:
        raise UnreachableError(
            f"Redis does not answer: {error}", "`wirewatch doctor` shows what can be reached"
        ) from None
