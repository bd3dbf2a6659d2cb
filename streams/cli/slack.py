"""``wirewatch slack listen``: takes what Slack tells of clicks on the buttons below alerts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from alerts.channels import Channel, load_channels
from alerts.notify.interface import ChannelError
from alerts.notify.slack import SlackSettings
from alerts.silence import RedisSilences
from alerts.slack.clicks import PATIENCE, Buttons, Clicks
from alerts.slack.listener import PATH, Listener
from streams.cli import logs
from streams.cli.common import ConfigOption, Exit, UnreachableError, clock, err, settings, tell_error, told_plainly
from streams.cli.services import Addresses, make_topics, reach, stopped
from streams.core.document import RefusedError
from streams.core.records import Feedback
from streams.settings import Loaded
from streams.worker.clients import started

app = typer.Typer(help="Hear what people click in Slack.", no_args_is_help=True, rich_markup_mode="markdown")


@app.callback()
def _group() -> None:
    """Keeps `listen` a command of its own, though it is the only one."""


@app.command()
def listen(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8180,
    log_format: Annotated[logs.Format, typer.Option(help="For people or programs; auto: text on a terminal.")] = "auto",
    config: ConfigOption = None,
) -> None:
    """Take what Slack tells of clicks on buttons, until Ctrl-C or SIGTERM.

    For channels with a `signing_secret`. Mutes become silences, opinions go onto the topic `feedback`. Slack has to
    reach it by https, through a proxy: the app's interactivity request URL is `https://YOUR.HOST/slack/actions`.

    Example: wirewatch slack listen --port 8180
    """
    with told_plainly():
        logs.configure("info", log_format)
        loaded = settings(config)
        channels = load_channels(loaded.path(loaded.settings.channels))
        asyncio.run(_serve(loaded, _buttons(loaded, channels), host, port))


def _buttons(loaded: Loaded, channels: Mapping[str, Channel]) -> dict[str, Buttons]:
    """The channels that have buttons.

    Raises:
        RefusedError: a signing secret or a certificate is not where it should be.
    """
    buttons: dict[str, Buttons] = {}
    problems = []
    for name, channel in channels.items():
        given, folder = channel.settings, Path(channel.place.file).parent
        if not isinstance(given, SlackSettings):
            continue
        try:
            if secret := given.read_signing_secret(loaded.environ, folder):
                buttons[name] = Buttons(secret, given.allow_private, given.tls.context(folder) if given.tls else None)
        except ChannelError as error:
            problems.append(channel.problem(error))
    if problems:
        raise RefusedError(problems)
    if not buttons:
        tell_error("no channel has buttons", "give one of type slack, with a token, its `signing_secret: env:…`")
        raise typer.Exit(Exit.USAGE)
    return buttons


async def _serve(loaded: Loaded, buttons: Mapping[str, Buttons], host: str, port: int) -> None:
    where = await reach(loaded)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with _clicks(loaded, where, buttons) as clicks:

        def handle(headers: Mapping[str, str], body: bytes) -> HTTPStatus:
            taking = asyncio.run_coroutine_threadsafe(clicks.take(headers, body), loop)
            try:
                return taking.result(PATIENCE + 0.5)
            except TimeoutError:
                taking.cancel()
                return HTTPStatus.SERVICE_UNAVAILABLE

        try:
            listener = Listener(host, port, handle)
        except OSError as error:
            raise UnreachableError(
                f"cannot listen on {host}:{port}: {error.strerror or error}", "try another --port"
            ) from None
        with listener:
            err.print(
                f"listening on http://{host}:{listener.port}{PATH} for {', '.join(sorted(buttons))}", markup=False
            )
            await _until(stop, where)


async def _until(stop: asyncio.Event, where: Addresses) -> None:
    """Wait to be told to stop.

    Raises:
        UnreachableError: the embedded Kafka and Redis have stopped before.
    """
    ending, told = asyncio.create_task(stopped(where)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([ending, told], return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            raise ending.result()
    finally:
        ending.cancel()
        told.cancel()


@asynccontextmanager
async def _clicks(loaded: Loaded, where: Addresses, buttons: Mapping[str, Buttons]) -> AsyncIterator[Clicks]:
    topics = await make_topics(loaded, where)
    async with (
        _producer(where) as producer,
        Redis.from_url(where.redis_url, socket_timeout=2, **where.redis_options) as redis,
    ):

        async def publish(said: Feedback) -> None:
            await producer.send_and_wait(topics.feedback, msgspec.json.encode(said), key=said.headline_id.encode())

        clicks = Clicks(
            buttons,
            RedisSilences(redis, prefix=loaded.settings.redis.prefix),
            publish,
            clock=clock,
            failures=(KafkaError,),
        )
        try:
            yield clicks
        finally:
            await clicks.close()


@asynccontextmanager
async def _producer(where: Addresses) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that waits for all copies, for the length of a block.

    Raises:
        UnreachableError: Kafka does not take it.
    """
    producer = AIOKafkaProducer(**where.kafka, acks="all")
    try:
        try:
            await started(producer.start())
        except (KafkaError, OSError) as error:
            raise UnreachableError(f"Kafka takes no records: {error}", "`wirewatch doctor` shows more") from None
        yield producer
    finally:
        await producer.stop()
