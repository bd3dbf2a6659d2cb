"""``wirewatch silence``: keep what fires from channels for some time."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.markup import escape
from rich.table import Table

from alerts.silence import RedisSilences, Silence, SilenceError, asked_in_vain, make_silence
from streams.cli.common import (
    FLAG,
    ConfigOption,
    Exit,
    JsonOption,
    UnreachableError,
    clock,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
    uncut,
)
from streams.cli.plan import load_rulebook
from streams.cli.services import addresses, ask_redis
from streams.core.document import RefusedError
from streams.core.duration import parse_duration
from streams.settings import Loaded

T = TypeVar("T")

app = typer.Typer(
    help="Keep what fires from channels for some time.", no_args_is_help=True, rich_markup_mode="markdown"
)


@app.command()
def add(  # noqa: PLR0913 - what a silence consists of
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What is silenced, in the language of rules.")],
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded on what is suppressed.")],
    lasting: Annotated[str | None, typer.Option("--for", metavar="SPAN", help="How long, such as 2h or 3d.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when, such as 2026-03-01T08:00Z.")] = None,
    starts: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when, such as 2026-03-01T22:00Z.", show_default="now")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so.", show_default="your login")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep from channels what a query finds, for some time. All workers know of it within a second.

    Beside what rules can ask for, a query can have `rule:`, `severity:`, `story:` and `channel:`. What is kept back is
    recorded as suppressed, with the comment.

    Examples:

        wirewatch silence add 'topic:iran AND source:x' --for 2h --comment "drill in the Gulf"

        wirewatch silence add 'rule:iran-* AND channel:desk' --until 2026-03-02T08:00Z --comment "night" --by ann
    """
    with told_plainly(as_json=as_json):
        loaded, now = settings(config), clock()
        begins = _time("--starts", starts) if starts else now
        ends = _end(begins, lasting, until)
        try:
            silence = make_silence(query, starts=begins, ends=ends, comment=comment, by=by or _login(), now=now)
        except SilenceError as error:
            _refuse(error.message, error.hint)
        _refuse_in_vain(loaded, query)
        _with_store(loaded, lambda store: store.add(silence))
    if as_json:
        print_json(_as_dict(silence, now))
    else:
        out.print(f"silence [bold]{silence.id}[/bold] until {silence.ends:%Y-%m-%d %H:%M} UTC: {escape(silence.query)}")


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", metavar=FLAG, help="Also those that ended, of 30 days.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the silences that run or are yet to begin.

    Examples:

        wirewatch silence list

        wirewatch silence list --all --json
    """
    with told_plainly(as_json=as_json):
        loaded, now = settings(config), clock()
        found = _with_store(loaded, lambda store: store.all())
    shown = [silence for silence in found if everything or silence.state(now) != "ended"]
    if as_json:
        print_json([_as_dict(silence, now) for silence in shown])
        return
    if not shown:
        out.print("there are no silences")
        return
    ids = uncut("id", [silence.id for silence in shown])
    table = Table(
        ids, "", "from", "until (UTC)", "by", "query", "comment", box=None, header_style="bold", pad_edge=False
    )
    for silence in shown:
        times = (f"{moment:%Y-%m-%d %H:%M}" for moment in (silence.starts, silence.ends))
        table.add_row(
            silence.id, silence.state(now), *times, *map(escape, (silence.by, silence.query, silence.comment))
        )
    out.print(table)


@app.command()
def expire(
    silence_id: Annotated[str, typer.Argument(metavar="ID", help="The id that `silence list` shows.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a silence now; one that is yet to begin never does. What it suppressed stays so.

    Examples:

        wirewatch silence expire 7f3a9c01
    """
    with told_plainly(as_json=as_json):
        loaded, now = settings(config), clock()
        ended = _with_store(loaded, lambda store: store.expire(silence_id, now))
        if ended is None:
            _refuse(f"no silence `{silence_id}` runs or is yet to begin", "`wirewatch silence list` shows them")
    if as_json:
        print_json(_as_dict(ended, now))
    else:
        out.print(f"silence [bold]{ended.id}[/bold] has ended")


def _end(begins: datetime, lasting: str | None, until: str | None) -> datetime:
    if (lasting is None) == (until is None):
        raise typer.BadParameter("say how long, by --for 2h, or until when, by --until 2026-03-01T08:00Z")
    if until is not None:
        return _time("--until", until)
    try:
        return begins + parse_duration(lasting)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--for: {error}, not {lasting!r}") from None


def _time(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} is written like 2026-03-01T22:00Z, not {text!r}") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "somebody"


def _refuse_in_vain(loaded: Loaded, query: str) -> None:
    """Refuse what names a topic, rule or channel that there is not; whoever's files are wrong may silence all the same."""
    try:
        book = load_rulebook(loaded)
    except RefusedError:
        return
    known = {
        "topic": {topic.name for topic in book.taxonomy.topics},
        "rule": {rule.name for rule in book.matched.rules},
        "channel": set(book.channels),
    }
    for message, hint in asked_in_vain(query, known):
        _refuse(message, hint)


def _with_store(loaded: Loaded, ask: Callable[[RedisSilences], Awaitable[T]]) -> T:
    """Ask the silences in Redis something.

    Raises:
        UnreachableError: Redis is away.
    """
    where = addresses(loaded)

    async def asked() -> T:
        await ask_redis(where)
        async with Redis.from_url(where.redis_url, socket_timeout=5, **where.redis_options) as redis:
            return await ask(RedisSilences(redis, prefix=loaded.settings.redis.prefix))

    try:
        return asyncio.run(asked())
    except (RedisError, OSError) as error:
        raise UnreachableError(
            f"Redis does not answer: {error}", "`wirewatch doctor` shows what can be reached"
        ) from None


def _as_dict(silence: Silence, now: datetime) -> dict[str, Any]:
    return {
        "id": silence.id,
        "state": silence.state(now),
        "query": silence.query,
        "starts": silence.starts.isoformat(),
        "ends": silence.ends.isoformat(),
        "by": silence.by,
        "comment": silence.comment,
    }


def _refuse(message: str, hint: str) -> NoReturn:
    tell_error(message, hint)
    raise typer.Exit(Exit.USAGE)
