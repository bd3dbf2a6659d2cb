"""A comparison of two versions as a page for a browser, and as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from streams.backtest.compare import KINDS, Change, Changes, Kind
from streams.backtest.report.delays import in_words
from streams.backtest.report.figures import Figure, bars, figure
from streams.backtest.report.page import About, page
from streams.core.rule import Rule

#: Changes that are shown of each kind, on a page and in Markdown; the others are counted.
SHOWN = 300
SHOWN_IN_MARKDOWN = 15
#: Characters of the longest Markdown: GitHub takes 65,536 in a comment.
LONGEST_MARKDOWN = 60_000
_RULES_IN_MARKDOWN = 30
_LONGEST_HEADLINE = 200
_LONGEST_WHY = 300

#: What each kind is called, and what it means.
TITLES: dict[Kind, tuple[str, str]] = {
    "added": ("Added", "alerts that only the new version gives; the reason is what kept the old one from it"),
    "lost": ("Lost", "alerts that only the old version gives; the reason is what keeps the new one from it"),
    "earlier": ("Earlier", "the same rule tells the same channel of the same story, sooner than it did"),
    "later": ("Later", "the same rule tells the same channel of the same story, and not as soon as it did"),
    "changed": ("Changed", "alerts of both versions, with another severity, title, owner, labels or group"),
}


@dataclass(frozen=True, slots=True)
class Versions:
    """What the earlier version is called, what is to be said of the later one and of the replay, and what differs
    between them beside rules, in words."""

    before: str
    about: About
    differences: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A rule that differs: ``state`` is ``new``, ``gone`` or ``changed``, ``differ`` what of a changed one does, by the names
    that a rule file has. ``was`` and ``now`` are its query where it was written otherwise, or there was none.
    """

    rule: str
    state: str
    differ: Sequence[str]
    was: str
    now: str

    @classmethod
    def of(cls, one: Rule | None, other: Rule | None) -> Rewritten:
        """What to say of a rule as it was and as it is, of which one may be None."""
        if one is None or other is None:
            rule = one or other
            assert rule is not None
            was, now = (str(one.query) if one else "", str(other.query) if other else "")
            return cls(rule.name, "gone" if other is None else "new", (), was, now)
        differ = [item.name for item in fields(Rule) if getattr(one, item.name) != getattr(other, item.name)]
        was, now = (str(one.query), str(other.query)) if "query" in differ else ("", "")
        return cls(one.name, "changed", ["when" if name == "query" else name for name in differ], was, now)

    @property
    def how(self) -> str:
        """How it differs, for a person."""
        return f"{self.state}: {', '.join(self.differ)}" if self.differ else self.state


def rewritten(changes: Changes) -> list[Rewritten]:
    """The rules that differ, whether or not an alert does."""
    return [Rewritten.of(*pair) for pair in changes.rewritten()]


def comparison(changes: Changes, versions: Versions, plotly: str) -> str:
    """The page of a comparison. ``plotly`` is the script of plotly.js."""
    return page(
        "comparison.html.jinja",
        plotly,
        {"changes": _over_time(changes)} if changes.changed else {},
        about=versions.about,
        versions=versions,
        changes=changes,
        kinds=KINDS,
        titles=TITLES,
        rules=rules_by_change(changes),
        rewritten=rewritten(changes),
        shown=(shown := {kind: changes.kept(kind, SHOWN) for kind in KINDS}),
        hidden={kind: changes.left_out(kind, shown[kind]) for kind in KINDS},
        shift=shift,
    )


def rules_by_change(changes: Changes) -> list[str]:
    """The names of the rules with alerts that differ, those with most first."""
    found = [name for name, counts in changes.rules.items() if counts.changed]
    return sorted(found, key=lambda name: (-changes.rules[name].kinds.total(), name))


def shift(change: Change) -> str:
    """How much sooner or later an alert comes, for a person."""
    return in_words(abs((change.at - change.was).total_seconds())) if change.was else ""


def _over_time(changes: Changes) -> Figure:
    over = changes.over_time
    lost = [-count for count in over.counts("change", "lost")]
    others = (over.counts("change", kind) for kind in ("earlier", "later", "changed"))
    moved = [sum(counts) for counts in zip(*others, strict=True)]
    traces = [
        bars(over, "added", over.counts("change", "added"), "var(--good)"),
        bars(over, "earlier, later or changed", moved, "var(--other)"),
        bars(over, "lost", lost, "var(--bad)"),
    ]
    return figure(traces, barmode="relative", showlegend=True)


def markdown(changes: Changes, versions: Versions) -> str:
    """The comparison for a pull request, no longer than GitHub takes; it says how much it leaves out."""
    about, totals = versions.about, changes.totals
    counted = ", ".join(f"{totals[kind]:,} {kind}" for kind in KINDS)
    lines = [
        f"### Alerts, compared with {_code(versions.before)}",
        "",
        f"**{counted}**, {changes.same:,} the same; over {_period(about, changes)}.",
        "",
        *_caveats(about),
        *_rules_in_markdown(changes),
        *_rewritten_in_markdown(changes),
        *([f"Beside rules: {'; '.join(map(_code, versions.differences))}", ""] if versions.differences else []),
    ]
    for kind in KINDS:
        if totals[kind]:
            lines += _section(changes, kind, LONGEST_MARKDOWN - sum(len(line) + 1 for line in lines))
    if not changes.changed:
        lines += ["No alert differs.", ""]
    lines.append(
        f"<sub>Not simulated: {', '.join(about.not_simulated)}. wirewatch {about.version}, `replay --against`.</sub>"
    )
    return "\n".join(lines) + "\n"


def _period(about: About, changes: Changes) -> str:
    found = ", ".join(_code(source) for source in about.sources)
    if changes.first is None or changes.last is None:
        return found
    return f"{found}, {changes.first:%Y-%m-%d} to {changes.last:%Y-%m-%d}"


def _caveats(about: About) -> Iterator[str]:
    """What kept the replay from being of all headlines."""
    told = [
        "the replay was interrupted before its end" if about.interrupted else "",
        f"{about.unreadable:,} could not be read" if about.unreadable else "",
        f"{about.late:,} came too late to be put in order" if about.late else "",
    ]
    if any(told):
        yield f"Not of all headlines: {'; '.join(filter(None, told))}."
        yield ""


def _rules_in_markdown(changes: Changes) -> Iterator[str]:
    names = rules_by_change(changes)
    if not names:
        return
    yield f"| rule | before | after | {' | '.join(KINDS)} |"
    yield "|---|--:|--:" + "|--:" * len(KINDS) + "|"
    for name in names[:_RULES_IN_MARKDOWN]:
        counts = changes.rules[name]
        kinds = " | ".join(f"{counts.kinds[kind]:,}" for kind in KINDS)
        yield f"| {_code(name).replace('|', chr(92) + '|')} | {counts.before:,} | {counts.after:,} | {kinds} |"
    if len(names) > _RULES_IN_MARKDOWN:
        yield f"\nand {len(names) - _RULES_IN_MARKDOWN:,} more rules"
    yield ""


def _rewritten_in_markdown(changes: Changes) -> Iterator[str]:
    found = rewritten(changes)
    for title, state in (("New rules", "new"), ("Rules that are gone", "gone"), ("Changed rules", "changed")):
        told = [
            _code(one.rule) + (f" ({', '.join(one.differ)})" if one.differ else "")
            for one in found
            if one.state == state
        ]
        if told:
            more = f" and {len(told) - _RULES_IN_MARKDOWN:,} more" if len(told) > _RULES_IN_MARKDOWN else ""
            yield f"{title}: {', '.join(told[:_RULES_IN_MARKDOWN])}{more}"
            yield ""


def _section(changes: Changes, kind: Kind, room: int) -> Sequence[str]:
    """The changes of a kind in ``room`` characters, of which the kinds after it are left their part."""
    title, meaning = TITLES[kind]
    lines = [f"<details><summary><b>{title}: {changes.totals[kind]:,}</b> — {meaning}</summary>", ""]
    shown: list[Change] = []
    used = sum(map(len, lines)) + 200
    for change in changes.kept(kind, SHOWN_IN_MARKDOWN):
        line = _line(change)
        if used + len(line) > room // 2:
            break
        lines.append(line)
        used += len(line) + 1
        shown.append(change)
    if left := changes.left_out(kind, shown):
        lines.append(f"- … and {left:,} more, which the page of `--report` or `--json` shows")
    return [*lines, "", "</details>", ""]


def _line(change: Change) -> str:
    moved = f", {shift(change)} {change.kind} than {_code(change.instead.text)}" if change.instead else ""
    return (
        f"- {_code(change.headline.text)} — {_at(change.at)}, {_code(change.rule)} to {_code(', '.join(change.channels))}"
        f"{moved}<br>{_code(change.why, _LONGEST_WHY)}"
    )


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def _code(text: str, longest: int = _LONGEST_HEADLINE) -> str:
    """A text as code, in which Markdown, HTML, links and mentions are nothing but characters."""
    line = " ".join(text.replace("`", "'").split())
    tidy = line if len(line) <= longest else line[: longest - 1] + "…"
    return f"`{tidy}`" if tidy else ""
