"""From settings to what a worker runs. Only a worker imports this: Faust takes half a second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from alerts.delivery import RetrySchedule
from streams.cli.plan import deduper_of, load_rulebook
from streams.cli.services import Addresses
from streams.cli.watches import Both, stamp_of, watch_files
from streams.core.classify import Classifier
from streams.settings import Loaded
from streams.worker.app import Plan
from streams.worker.reload import Current
from streams.worker.topics import Topics


def make_plan(loaded: Loaded, where: Addresses, clock: Callable[[], datetime]) -> Plan:
    """What a worker with these settings runs.

    Raises:
        RefusedError: a file of the user's is wrong, or a secret is missing.
    """
    settings = loaded.settings
    # Before the files are read, so that what is saved meanwhile is a change.
    read_at = stamp_of(loaded)
    book = load_rulebook(loaded)
    notifiers, unopened = book.open_channels(loaded.environ)
    classifier, rules = Current(Classifier(book.taxonomy)), Current(book.in_force())
    return Plan(
        kafka=where.kafka,
        group=where.group,
        topics=Topics(settings.kafka.topic_prefix),
        redis_url=where.redis_url,
        redis_prefix=settings.redis.prefix,
        redis_options=where.redis_options,
        window=settings.dedupe.longest,
        deduper=deduper_of(loaded),
        classifier=classifier,
        rules=rules,
        notifiers=notifiers,
        unopened=unopened,
        on_failure={
            name: other for name, channel in book.channels.items() if (other := channel.settings.notify_on_failure)
        },
        clock=clock,
        data_dir=loaded.path(settings.data_dir),
        session_timeout=settings.kafka.session_timeout.total_seconds(),
        retries=RetrySchedule(
            waits=settings.delivery.retry_after or RetrySchedule().waits, max_age=settings.delivery.max_age
        ),
        watches=[watch_files(loaded, Both(rules, classifier), notifiers, read_at)],
    )
