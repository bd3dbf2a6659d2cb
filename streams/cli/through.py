"""``wirewatch replay --through-kafka``: an isolated copy of the pipeline, on the deployment's own Kafka and Redis.

The copy has topics, a group and keys of its own, a worker in this process, and a file in place of every channel: it is the
deployment that is tried, and nobody is told. What it made is removed in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.notify.file import FileNotifier
from alerts.route import ChannelRouter
from alerts.silence import RedisSilences, Snapshot
from connectors.recorded import Recording
from streams.backtest.decided import Decided
from streams.backtest.replay import event_time
from streams.cli import logs
from streams.cli.common import UnreachableError, clock
from streams.cli.plan import Rulebook, deduper_of
from streams.cli.sending import Sent, send
from streams.cli.services import Addresses, make_topics, reach
from streams.core.classify import Classifier
from streams.core.dedupe import Candidate
from streams.core.records import Alert, Classified, Dropped
from streams.settings import Loaded
from streams.worker.clients import admin_client
from streams.worker.reload import Current
from streams.worker.tally import count
from streams.worker.topics import Topics

#: How often it is looked whether all has come out, seconds.
_LOOK_EVERY = 0.5


def decisions_through(
    candidates: Iterable[Candidate], loaded: Loaded, book: Rulebook, router: Any
) -> Iterator[Decided]:
    """What a copy of the pipeline decides on each headline, once all have gone through it.

    Raises:
        UnreachableError: Kafka or Redis cannot be had, or the copy's worker failed.
    """
    logs.configure("warning", "text")  # standard output is for what it comes to
    with tempfile.TemporaryDirectory(prefix="wirewatch-replay-") as folder:
        copy = _Copy(loaded, book, router, Path(folder))
        try:
            asyncio.run(copy.run(candidates))
            yield from copy.decided()
        except (KafkaError, RedisError, OSError) as error:
            raise UnreachableError(
                f"the copy of the pipeline failed: {error}", "`wirewatch doctor` shows more"
            ) from None
        finally:
            asyncio.run(copy.remove())


@dataclass(slots=True)
class _Copy:
    """A pipeline under a name that nothing else has. ``sent`` tells how much went in."""

    loaded: Loaded
    book: Rulebook
    router: ChannelRouter
    folder: Path
    name: str = field(default_factory=lambda: f"replay-{secrets.token_hex(6)}")
    sent: Sent = field(default_factory=Sent)
    where: Addresses | None = None

    @property
    def topics(self) -> Topics:
        return Topics(f"{self.loaded.settings.kafka.topic_prefix}{self.name}.")

    @property
    def group(self) -> str:
        return f"{self.loaded.settings.kafka.group}-{self.name}"

    async def run(self, candidates: Iterable[Candidate]) -> None:
        """Send the headlines through, and return when all has come out."""
        from streams.worker.app import CrashedError, Worker  # noqa: PLC0415 - Faust takes half a second to load

        self.where = where = await reach(self.loaded, patience=10.0)
        await make_topics(self.loaded, where, self.topics)
        await self._silence(where)
        stop = asyncio.Event()
        working = asyncio.create_task(Worker(self._plan(where)).run(stop=stop))
        feeding = asyncio.create_task(self._feed(where, candidates))
        try:
            await asyncio.wait((working, feeding), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
            await feeding
        except CrashedError as error:
            raise UnreachableError(str(error)) from None
        finally:
            feeding.cancel()
            stop.set()
            await asyncio.gather(working, feeding, return_exceptions=True)

    async def _silence(self, where: Addresses) -> None:
        """Lay the silences down where the copy's worker looks for them."""
        if not isinstance(self.router.silences, Snapshot):
            return
        async with Redis.from_url(where.redis_url, **where.redis_options) as redis:
            store = RedisSilences(redis, prefix=self.name)
            for silence in self.router.silences.silences:
                await store.add(silence)

    async def _feed(self, where: Addresses, candidates: Iterable[Candidate]) -> None:
        readings = (("replay", candidate.headline) for candidate in candidates)
        await send(where.kafka, self.topics, readings, self.sent)
        while True:
            with contextlib.suppress(KafkaError):  # a young group is not known everywhere yet
                tally = await count(where.kafka, self.topics, self.group, now=clock())
                if tally.read >= self.sent.headlines and tally.finished:
                    return
            await asyncio.sleep(_LOOK_EVERY)

    def _plan(self, where: Addresses) -> Any:
        from streams.worker.app import Plan  # noqa: PLC0415 - see above

        settings, book = self.loaded.settings, self.book
        names = {name for rule in book.rules.rules for name in rule.channels} | {
            *book.channels,
            *book.routing.channels(),
        }
        return Plan(
            kafka=where.kafka,
            group=self.group,
            topics=self.topics,
            redis_url=where.redis_url,
            redis_prefix=self.name,
            redis_options=where.redis_options,
            window=settings.dedupe.longest,
            deduper=deduper_of(self.loaded),
            classifier=Current(Classifier(book.taxonomy)),
            rules=Current(book.in_force()),
            router=self.router,
            notifiers={name: FileNotifier(self.folder / "alerts.jsonl") for name in names},
            clock=clock,
            data_dir=self.folder,
            session_timeout=settings.kafka.session_timeout.total_seconds(),
        )

    def decided(self) -> Iterator[Decided]:
        """What the copy recorded, in the order in which it decided; all of it is in memory."""
        assert self.where is not None
        topics = self.topics
        records: dict[str, Classified | Dropped] = {}
        alerts: dict[str, dict[str, Alert]] = defaultdict(dict)
        wanted = [topics.classified, topics.dropped, topics.alerts]
        for record in Recording(self.where.kafka, wanted).records():
            if record.topic == topics.alerts:
                alert = msgspec.json.decode(record.value, type=Alert)
                alerts[alert.headline.id][alert.alert_id] = alert
            else:
                kind: type[Dropped | Classified] = Dropped if record.topic == topics.dropped else Classified
                one = msgspec.json.decode(record.value, type=kind)
                records[one.id] = one
        now = 0
        for one in sorted(records.values(), key=lambda one: one.seq):
            now = max(now, event_time(Candidate(one.id, one.position, one.received, one.headline)))
            at = datetime.fromtimestamp(now / 1000, UTC)
            yield Decided(at=at, headline=one, alerts=tuple(alerts[one.id].values()))

    async def remove(self) -> None:
        """Remove the copy's topics and keys. What cannot be removed is left to expire."""
        if self.where is None:
            return
        with contextlib.suppress(KafkaError, OSError):
            async with admin_client(self.where.kafka) as admin:
                made = [topic for topic in await admin.list_topics() if self.name in topic]
                await admin.delete_topics(made)
        with contextlib.suppress(RedisError, OSError):
            async with Redis.from_url(self.where.redis_url, **self.where.redis_options) as redis:
                keys = [key async for key in redis.scan_iter(match=f"*{self.name}*", count=1_000)]
                for start in range(0, len(keys), 1_000):
                    await redis.delete(*keys[start : start + 1_000])
