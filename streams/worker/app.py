"""The Faust app: the four agents over the topics, with chunked consumption and an idempotent producer in place."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import faust
import msgspec
import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faust.auth import SASLCredentials, SSLCredentials

from alerts.delivery import Dispatcher, OnStep, RetrySchedule, Timing
from alerts.health import Health, Limits, RedisHealth
from alerts.notify.interface import Notifier
from alerts.notify.slackbot import TellsStories
from alerts.outbox import Durability, Outbox, RedisOutbox
from alerts.route import ChannelRouter
from alerts.silence import RedisSilences
from alerts.slack.stories import RedisStories
from streams.core.classify import Classifier
from streams.core.dedupe import Deduper
from streams.core.records import Alert, Delivery
from streams.worker.agents import (
    FIRST_WAIT,
    LONGEST_WAIT,
    PASSING,
    Alerting,
    Classify,
    Deduplicate,
    Deliver,
    Runner,
    Stage,
    is_cancelled,
)
from streams.worker.caretaker import Caretaker
from streams.worker.chunks import ChunkApp, ChunkConsumer
from streams.worker.clients import open_redis, started
from streams.worker.correlation import CorrelationLog
from streams.worker.health import HealthWatch
from streams.worker.history import read_decisions
from streams.worker.ledger import Ledger
from streams.worker.outage import AsksKafka, KafkaWatch
from streams.worker.publish import BatchProducer, Output, PublishError
from streams.worker.recovery import Keeper
from streams.worker.reload import Current, Watch
from streams.worker.roster import Roster
from streams.worker.rules import InForce
from streams.worker.silences import SilenceWatch
from streams.worker.topics import Topics, reach_ms

log = structlog.get_logger(__name__)

#: How long Kafka may take to let a worker go, seconds; where it is away, its client waits a minute.
STOPPING = 10.0

#: Records that may wait for an agent, about: from four fifths of it on, its partitions are no longer fetched.
RECORDS_AHEAD = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a worker needs to know. Nothing of it changes while it runs but what is `Current`, by one of ``watches``.

    ``kafka`` holds aiokafka's connection settings, ``session_timeout`` is in seconds. ``deduper`` makes one with nothing in
    memory; ``window`` is the longest that it looks back. ``notifiers`` are the open channels;
    ``on_failure`` names the channel to be told should one be disabled, where it names one; ``unopened`` are the names of
    channels that are configured, but that cannot be opened and that no rule needs.
    """

    kafka: Mapping[str, Any]
    group: str
    topics: Topics
    redis_url: str
    redis_prefix: str
    window: timedelta
    deduper: Callable[[], Deduper]
    classifier: Current[Classifier]
    rules: Current[InForce]
    notifiers: Mapping[str, Notifier]
    clock: Callable[[], datetime]
    data_dir: Path
    session_timeout: float = 10.0
    redis_options: Mapping[str, Any] = field(default_factory=dict)
    router: ChannelRouter = field(default_factory=ChannelRouter)
    retries: RetrySchedule = field(default_factory=RetrySchedule)
    timing: Timing = field(default_factory=Timing)
    breaker: Limits = field(default_factory=Limits)
    on_failure: Mapping[str, str] = field(default_factory=dict)
    on_step: OnStep = lambda _agent, _step: None
    unopened: Collection[str] = ()
    watches: Sequence[Watch[Any]] = ()


class CrashedError(Exception):
    """A part of the worker failed in a way that nobody foresaw; it has been logged. Nothing is lost: start it again."""


class Worker:
    """One worker: the Faust app, the outbox's dispatcher, and what they share."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.app = create_app(plan)
        self._failed = asyncio.Event()
        self._failures: list[CrashedError] = []
        self._at_work = asyncio.Lock()
        self._redis = open_redis(plan.redis_url, plan.redis_options)
        self._outbox: Outbox = RedisOutbox(self._redis, prefix=plan.redis_prefix)
        for notifier in plan.notifiers.values():
            if isinstance(notifier, TellsStories):
                notifier.remember_in(RedisStories(self._redis, prefix=plan.redis_prefix))
        health = Health(plan.breaker)
        self._dispatcher = Dispatcher(
            self._outbox,
            plan.notifiers,
            self._record,
            clock=plan.clock,
            retries=plan.retries,
            timing=plan.timing,
            on_step=plan.on_step,
            health=health,
        )
        self._health = HealthWatch(
            RedisHealth(self._redis, prefix=plan.redis_prefix),
            health,
            list(plan.notifiers),
            plan.on_failure,
            self._publish_alerts,
            clock=plan.clock,
        )
        self._caretaker = Caretaker(self._outbox, plan.notifiers, plan.unopened, self._record, clock=plan.clock)
        self._keeper = Keeper(self._outbox, plan.notifiers, plan.kafka, plan.topics, clock=plan.clock)
        self._silences = SilenceWatch(RedisSilences(self._redis, prefix=plan.redis_prefix), plan.router)
        self._roster = Roster(self._redis, plan.redis_prefix, secrets.token_hex(6), self._revisions, clock=plan.clock)
        self._add_agents()

    def _revisions(self) -> tuple[str, str]:
        return self._plan.rules.value.revision, self._plan.classifier.value.taxonomy.revision

    def _add_agents(self) -> None:
        plan, topics = self._plan, self._plan.topics
        keep_ms = reach_ms(plan.window)
        ledger = Ledger(
            self._redis,
            plan.redis_prefix,
            deduper=plan.deduper,
            keep_ms=keep_ms,
            history=lambda: read_decisions(plan.kafka, unique=topics.unique, dropped=topics.dropped, reach_ms=keep_ms),
        )
        self._agent([topics.raw], Deduplicate(topics, ledger))
        self._agent([topics.unique], Classify(topics, plan.classifier))
        ruleset = plan.rules.value.matcher.ruleset
        correlation = CorrelationLog(self._redis, plan.redis_prefix, ruleset, token=secrets.token_hex(6))
        alerting = Alerting(topics, plan.rules, plan.router, correlation, plan.classifier)
        self._agent([topics.classified, topics.dropped], alerting)
        self.app.task(partial(self._watch_time, alerting))
        deliver = Deliver(topics, self._outbox, self._dispatcher.kick, plan.clock)
        self._agent([topics.alerts], deliver, confirm=self._confirm)

    async def _watch_time(self, alerting: Alerting) -> None:
        """Tell of what did not come, once a second, and try again where it cannot be told."""
        while not is_cancelled():
            await asyncio.sleep(1.0)
            try:
                await alerting.elapsed(self._publish, self._plan.clock())
            except PASSING as error:
                log.warning("waiting", what="absences", error=repr(error))
            except Exception as error:
                self._fail("absences", error)
                raise

    def _agent(self, topics: Sequence[str], stage: Stage, confirm: Callable[[], Awaitable[None]] | None = None) -> None:
        at_work = None if confirm else self._at_work  # what is to be delivered waits for nobody's decisions
        runner = Runner(stage, self.app, self._plan.clock, self._plan.on_step, confirm, self._fail, at_work)
        channel = self.app.topic(*topics, key_serializer="raw", value_serializer="raw")
        self.app.agent(channel, name=stage.name)(runner.run)
        if confirm is not None:
            self.app.task(runner.acknowledge_confirmed)

    def _fail(self, part: str, error: BaseException) -> None:
        """Log what nobody foresaw, and end the worker: half alive, it would look well and do nothing."""
        log.critical("failed unexpectedly, stopping the worker: please report this", part=part, exc_info=error)
        crash = CrashedError(f"{part} failed: {error!r}")
        crash.__cause__ = error
        self._failures.append(crash)
        self._failed.set()

    async def _confirm(self) -> None:
        """Return once what was scheduled is on Redis' disk, or never will be because it keeps none.

        Raises:
            TimeoutError: it is not there yet.
        """
        if await self._outbox.durable() is Durability.LATE:
            raise TimeoutError("Redis has not written to its disk yet")

    async def _record(self, deliveries: Sequence[Delivery]) -> None:
        """Put the outcomes of delivery on their topics."""
        topics, encode = self._plan.topics, msgspec.json.encode
        outputs = [Output(topics.deliveries, encode(d), d.alert_id.encode()) for d in deliveries]
        outputs += [Output(topics.dead, encode(d), d.alert_id.encode()) for d in deliveries if d.outcome == "dead"]
        await self._publish(outputs)

    async def _publish_alerts(self, alerts: Sequence[Alert]) -> None:
        """Put alerts on their topic that no headline fired."""
        encode = msgspec.json.encode
        await self._publish([Output(self._plan.topics.alerts, encode(a), a.alert_id.encode()) for a in alerts])

    async def _publish(self, outputs: Sequence[Output]) -> None:
        """Publish what no chunk waits for."""
        producer = cast("BatchProducer", self.app.producer)
        await producer.begun()
        refused = await producer.publish(outputs, timestamp_ms=int(self._plan.clock().timestamp() * 1000))
        if refused:  # a few hundred bytes: it is for the topic to take them
            raise PublishError(f"{refused[0].output.topic} takes no record: {refused[0].error!r}")

    async def run(self, *, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then finish what is in hand, or leave it unacknowledged, and return.

        Raises:
            CrashedError: a part of the worker failed.
        """
        try:
            await self._wait_for_kafka(stop)
            await self._silences.load(stop)
            if not stop.is_set():
                await self._work(stop)
        finally:
            await self._roster.leave()
            await self._redis.aclose()
            for notifier in self._plan.notifiers.values():
                await notifier.close()

    async def _wait_for_kafka(self, stop: asyncio.Event) -> None:
        """Return when a broker answers: Faust gives up where none does when it starts."""
        wait = FIRST_WAIT
        while not stop.is_set():
            client = AIOKafkaClient(**self._plan.kafka)
            try:
                await started(client.bootstrap())
            except (KafkaError, OSError) as error:
                log.warning("waiting for Kafka", error=repr(error))
            else:
                return
            finally:
                await client.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _work(self, stop: asyncio.Event) -> None:
        app = self.app
        # Agents work while the app still starts, and that takes seconds where partitions are being shared out.
        early = [asyncio.create_task(part) for part in (self._silences.run(), self._watch_kafka(), self._health.run())]
        dispatching = asyncio.create_task(self._dispatch())
        try:
            await app.start()
        except BaseException:
            await self._dispatcher.stop(grace=5.0)
            for task in (dispatching, *early):
                task.cancel()
            raise
        keeping = asyncio.create_task(self._keeper.run())
        caring = asyncio.create_task(self._caretaker.run())
        watching = [asyncio.create_task(watch.run()) for watch in self._plan.watches]
        watching += [*early, asyncio.create_task(self._roster.run())]
        log.info("working", group=self._plan.group, channels=sorted(self._plan.notifiers))
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._failed.wait()),
            asyncio.create_task(app._crashed.wait()),  # noqa: SLF001 - Faust has no other word for it
            dispatching,
            keeping,
            caring,
            *watching,
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            log.info("stopping")
            if app.crash_reason is not None and not self._failures:
                self._fail("Faust", app.crash_reason)
            for task in (keeping, caring, *watching):
                task.cancel()
            if not dispatching.done():
                await self._dispatcher.stop(grace=5.0)
            await self._leave_kafka()
            parts = [("the dispatcher", dispatching), ("the keeper", keeping), ("the caretaker", caring)]
            for part, task in (*parts, *(("a watch", task) for task in watching)):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    self._fail(part, error)
            for task in waiting:
                task.cancel()
        if self._failures:
            raise self._failures[0]

    async def _dispatch(self) -> None:
        await self._health.learned()
        await self._dispatcher.run()

    async def _watch_kafka(self) -> None:
        asks = AsksKafka(self._plan.kafka, self._plan.topics.raw)
        try:
            await KafkaWatch(asks, asyncio.get_running_loop().time).run()
        finally:
            await asks.close()

    async def _leave_kafka(self) -> None:
        try:
            async with asyncio.timeout(STOPPING):
                await self.app.stop()
        except TimeoutError:
            # Nothing is lost by it: what was not committed is delivered again.
            log.warning("Kafka does not answer, leaving without a word to it")


def create_app(plan: Plan) -> faust.App:
    """A Faust app with the settings that lose no headline; ``docs/reference/faust.md`` explains each."""
    servers = plan.kafka["bootstrap_servers"].split(",")
    plan.data_dir.mkdir(parents=True, exist_ok=True)
    app = ChunkApp(
        plan.group,
        broker=[f"kafka://{server}" for server in servers],
        broker_credentials=_credentials(plan.kafka),
        broker_session_timeout=plan.session_timeout,
        broker_heartbeat_interval=plan.session_timeout / 5,
        broker_rebalance_timeout=max(30.0, plan.session_timeout),
        broker_request_timeout=40.0,
        broker_max_poll_interval=1e6,
        broker_max_poll_records=5000,
        broker_commit_interval=1.0,
        broker_commit_every=1_000_000,
        producer_acks=-1,
        producer_request_timeout=10.0,
        consumer_auto_offset_reset="earliest",
        # A broker that has just started knows of no topic for a moment. A group whose leader asks it then is assigned
        # nothing, until the leader asks again: after five minutes by default.
        consumer_metadata_max_age_ms=5_000,
        processing_guarantee="at_least_once",
        stream_wait_empty=True,
        stream_buffer_maxsize=RECORDS_AHEAD,
        topic_disable_leader=True,
        topic_allow_declare=False,
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        datadir=plan.data_dir / "faust",
    )
    setattr(app.transport, "Consumer", ChunkConsumer)  # noqa: B010 - Faust declares them for the class
    setattr(app.transport, "Producer", BatchProducer)  # noqa: B010
    return app


def _credentials(client: Mapping[str, Any]) -> Any:
    context = client.get("ssl_context")
    if client.get("sasl_mechanism"):
        return SASLCredentials(
            mechanism=client["sasl_mechanism"],
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await worker.run(stop=stop)
