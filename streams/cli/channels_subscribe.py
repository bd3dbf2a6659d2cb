"""``wirewatch channels subscribe`` and ``unsubscribe``: edit the file of subscriptions, and leave its comments alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alerts.route import Subscription
from alerts.routefile import Known
from alerts.subscriptions import Written, read_subscriptions, with_subscription, without_subscription
from alerts.userfile import read_text
from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
)
from streams.cli.outputs import alone_at, write_file
from streams.cli.plan import Rulebook, load_rulebook
from streams.core.document import RefusedError, did_you_mean

_LISTS = ("severity", "topic", "source", "rule")
_TEXTS = ("query", "title", "name")
_LABEL, _EXCEPT = "label:", "except:"

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The name of a channel.")]
What = Annotated[
    list[str],
    typer.Argument(
        metavar="KEY=VALUE…",
        help="severity, topic, source, rule or label:NAME, each also after except:, or query, with title and name.",
    ),
]


def subscribe(channel: Channel, what: What, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Have a channel told of more: of the rules that fire, as far as they are so, or of what a query of its own finds.

    The subscription is written to the file of subscriptions, which people may edit, too; its comments stay.

    Examples:

        wirewatch channels subscribe desk topic=iran 'severity=>=high' except:source=spam.example

        wirewatch channels subscribe desk 'query=topic:iran AND "crude oil"' severity=low
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        file = loaded.path(loaded.settings.subscriptions)
        with alone_at(file):
            book = load_rulebook(loaded)
            text = read_text(file) if file.exists() else ""
            asked = _asked(book, channel, _given(what))
            _refuse_if(any(map(asked.same, book.subscriptions)), "the channel has this subscription already", "")
            _save(file, with_subscription(text, channel, asked.given))
    _tell(asked.written.subscription, file, "is told of", as_json=as_json)


def unsubscribe(channel: Channel, what: What, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Take a subscription back that `channels subscribe` made, or a person in the same file. It is given in the same words.

    Examples:

        wirewatch channels unsubscribe desk topic=iran 'severity=>=high' except:source=spam.example

        wirewatch channels unsubscribe desk 'query=topic:iran AND "crude oil"'
    """
    with told_plainly(as_json=as_json):
        loaded = settings(config)
        file = loaded.path(loaded.settings.subscriptions)
        with alone_at(file):
            taken_back = _take_out(load_rulebook(loaded), file, channel, what)
    _tell(taken_back, file, "is no longer told of", as_json=as_json)


def _take_out(book: Rulebook, file: Path, channel: str, what: list[str]) -> Subscription:
    """Take a subscription out of the file, and give it."""
    asked = _asked(book, channel, _given(what))
    same = [written for written in book.subscriptions if asked.same(written)]
    of_channel = [written for written in book.subscriptions if written.subscription.channel == channel]
    has = "; ".join(str(written.subscription) for written in of_channel)
    _refuse_if(not same, "the channel has no such subscription", f"it has: {has}" if has else "it has none")
    elsewhere = [written.place for written in same if written.place.file != str(file)]
    _refuse_if(bool(elsewhere), f"it stands in {elsewhere[0] if elsewhere else ''}", "take it out there")
    here = [written for written in of_channel if written.place.file == str(file)]
    numbers = [number for number, written in enumerate(here) if written in same]
    _save(file, without_subscription(read_text(file), channel, numbers))
    return same[0].subscription


class _Asked:
    """A subscription as the command line has it."""

    def __init__(self, given: dict[str, Any], written: Written) -> None:
        self.given = given
        self.written = written

    def same(self, other: Written) -> bool:
        """Whether another asks the same of the same channel, however it is called and whatever its alerts are like."""
        ours, theirs = self.written.subscription, other.subscription
        if ours.channel != theirs.channel or (ours.rule is None) != (theirs.rule is None):
            return False
        if ours.rule is not None and theirs.rule is not None:
            return ours.rule.query == theirs.rule.query
        return ours == theirs


def _asked(book: Rulebook, channel: str, given: dict[str, Any]) -> _Asked:
    """The subscription, read as it would be from the file, so that the same mistakes are told."""
    known = Known(
        set(book.channels), {topic.name for topic in book.taxonomy.topics}, {rule.name for rule in book.rules.rules}
    )
    try:
        (written,) = read_subscriptions(with_subscription("", channel, given), "", known)
    except RefusedError as error:
        for problem in error.problems:
            tell_error(problem.message, problem.hint)
        raise typer.Exit(Exit.USAGE) from None
    return _Asked(given, written)


def _given(what: list[str]) -> dict[str, Any]:
    """``topic=iran label:region=gulf`` as a mapping."""
    given: dict[str, Any] = {}
    for term in what:
        key, sign, value = term.partition("=")
        _refuse_if(not sign or not value, f"`{term}` is not KEY=VALUE", "write such as topic=iran or 'severity=>=high'")
        below = given.setdefault("except", {}) if key.startswith(_EXCEPT) else given
        key = key.removeprefix(_EXCEPT)
        if key.startswith(_LABEL):
            below, key = below.setdefault("labels", {}), key.removeprefix(_LABEL)
        elif below is not given or key not in _TEXTS:
            _refuse_if(
                key not in _LISTS,
                f"nothing is asked by `{key}`",
                did_you_mean(key, [*_LISTS, *_TEXTS, _LABEL + "NAME"]),
            )
        before = below.get(key)
        below[key] = value if before is None else [*(before if isinstance(before, list) else [before]), value]
    return given


def _save(file: Path, text: str) -> None:
    """Write the file in one step, so that a worker that reads it meanwhile has the old one or the new one."""
    write_file(file, text.encode(), "edit it by hand")


def _tell(subscription: Subscription, file: Path, how: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "channel": subscription.channel, "asks": str(subscription), "file": str(file)})
        return
    out.print(f"[bold]{escape(subscription.channel)}[/bold] {how}: {escape(str(subscription))}")
    out.print(f"[dim]saved to {escape(str(file))}[/dim]")


def _refuse_if(wrong: bool, message: str, hint: str) -> None:
    if wrong:
        tell_error(message, hint)
        raise typer.Exit(Exit.USAGE)
