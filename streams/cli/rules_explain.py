"""``wirewatch rules explain``: why a rule fires on a headline, or what keeps it from firing."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from streams.cli.common import (
    ConfigOption,
    Exit,
    JsonOption,
    clock,
    out,
    print_json,
    settings,
    tell_error,
    told_plainly,
)
from streams.cli.plan import load_rulebook
from streams.core.classify import Classifier
from streams.core.document import did_you_mean
from streams.core.query import View
from streams.core.query.explain import Lack, Part, lacks
from streams.core.query.explain import explain as explain_query
from streams.core.records import Classified, Headline, Kind
from streams.core.rule import Rule, RuleSet
from streams.core.text import clean


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The name of a rule.")],
    headline: Annotated[str, typer.Argument(metavar="HEADLINE", help="The text of a headline.")],
    source: Annotated[str, typer.Option(metavar="OUTLET", help="Whose it is.")] = "unknown",
    kind: Annotated[str, typer.Option(metavar="KIND", help="What it is to its story: first or update.")] = "first",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Why a rule fires on a headline: the tree of its query with what matched, or the least that keeps it from firing.

    Exits with 0 if it fires and with 1 if it does not. What a rule remembers is told and not asked: `rules test` tries it.

    Examples:

        wirewatch rules explain iran-oil "Tanker seized in the Strait of Hormuz"

        wirewatch rules explain iran-oil "Iran talks resume" --source reuters.com --json
    """
    with told_plainly(as_json=as_json):
        book = load_rulebook(settings(config))
        asked = _named(rule, book.rules)
        record = _record(headline, source, kind, Classifier(book.taxonomy))
    view = View(record)
    tree, lacking = explain_query(asked.query, view), lacks(asked.query, view)
    fires = tree.holds and asked.concerns(record)
    if as_json:
        print_json(_as_dict(asked, record, tree, lacking))
    else:
        _print(asked, record, tree, lacking)
    if not fires:
        raise typer.Exit(Exit.FOUND)


def _named(name: str, rules: RuleSet) -> Rule:
    found = next((rule for rule in rules.rules if rule.name == name), None)
    if found is None:
        tell_error(f"there is no rule `{name}`", did_you_mean(name, [rule.name for rule in rules.rules]))
        raise typer.Exit(Exit.USAGE)
    return found


def _record(text: str, source: str, kind: str, classifier: Classifier) -> Classified:
    """The headline as it would come to the rules."""
    tidy, now = clean(text), clock()
    if not tidy or kind not in ("first", "update"):
        tell_error("a headline is empty" if not tidy else f"--kind {kind}: it is first or update")
        raise typer.Exit(Exit.USAGE)
    said: Kind = "update" if kind == "update" else "first"
    return Classified(
        id="explained",
        seq=1,
        position="headlines.raw:0:0",
        received=now,
        headline=Headline(headline=tidy, published=now, source=source),
        story_id="explained",
        kind=said,
        topics=classifier.classify(tidy),
    )


def _as_dict(rule: Rule, record: Classified, tree: Part, lacking: tuple[Lack, ...]) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "fires": tree.holds and rule.concerns(record),
        "concerns": rule.concerns(record),
        "barred_by": rule.bars(record),
        "stage": rule.stage,
        "beyond_the_query": rule.beyond_the_query,
        "topics": [match.topic for match in record.topics],
        "query": _part_as_dict(tree),
        "lacks": [{"part": lack.asks, "reason": lack.reason, "or": list(lack.others)} for lack in lacking],
    }


def _part_as_dict(part: Part) -> dict[str, Any]:
    return {
        "part": part.asks,
        "joined": part.joined,
        "holds": part.holds,
        "matched": [{"start": span.start, "end": span.end, "text": span.text} for span in part.spans],
        "parts": [_part_as_dict(below) for below in part.below],
    }


def _print(rule: Rule, record: Classified, tree: Part, lacking: tuple[Lack, ...]) -> None:
    topics = ", ".join(match.topic for match in record.topics) or "none"
    fires = tree.holds and rule.concerns(record)
    does = "is matched" if rule.condition is not None else "fires"
    verb = f"[green]{does}[/green]" if fires else "[yellow]does not fire[/yellow]"
    out.print(f"[bold]{escape(rule.name)}[/bold] {verb} [dim](topics of the headline: {topics})[/dim]")
    shown = Tree(_label(tree))
    _grow(shown, tree)
    out.print(shown)
    if tree.holds and not fires:
        out.print(f"\nIts query holds, but {', and '.join(rule.bars(record))}", markup=False)
    if fires and rule.beyond_the_query:
        out.print("\n[bold]beside its query[/bold], which one headline cannot show")
        for asked in rule.beyond_the_query:
            out.print(f"  {asked}", markup=False)
    if fires and rule.stage == "staged":
        out.print("\nThe rule is staged: nobody is alerted")
    if lacking:
        out.print("\n[bold]kept from firing by[/bold]")
    for lack in lacking:
        others = f" [dim](or any of {escape(', '.join(lack.others))})[/dim]" if lack.others else ""
        out.print(f"  [yellow]{escape(lack.asks)}[/yellow] — {escape(lack.reason)}{others}")


def _grow(tree: Tree, part: Part) -> None:
    for below in part.below:
        _grow(tree.add(_label(below)), below)


def _label(part: Part) -> str:
    sign = "[green]✓[/green]" if part.holds else "[red]✗[/red]"
    asks = part.joined if part.below else part.asks
    words = ", ".join(span.text for span in part.spans) if not part.below else ""
    return f"{sign} {escape(asks)}" + (f"  [bold]{escape(words)}[/bold]" if words else "")
