"""``wirewatch rules test``: the tests that stand beside the rules, run by the live engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from alerts.rulefile import files_of_tests
from alerts.userfile import read_text
from streams.backtest.ruletest import Report, junit, run_tests
from streams.backtest.testfile import Case, read_tests
from streams.cli.common import (
    FLAG,
    ConfigOption,
    Exit,
    JsonOption,
    out,
    print_json,
    settings,
    told_plainly,
)
from streams.cli.outputs import named, write_file
from streams.cli.plan import deduper_of, load_rulebook
from streams.core import document
from streams.core.classify import Classifier
from streams.core.document import Document, Problem, RefusedError
from streams.core.rule import RuleSet


def run(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Folders of rules and tests, or files.", show_default="those of the settings"
        ),
    ] = None,
    report_file: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE.xml", help="Write JUnit's XML there.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", metavar=FLAG, help="Fail where a rule lacks a test that it fires, or does not.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tests that stand beside the rules, in files that end in `_test.yaml`, by the live engine.

    Of a file of rules that is named, these are the tests beside it.

    Each headline of a test goes the way that it would go live: read, deduplicated, classified, matched, at the time that
    the test gives. Exits with 0 if all came out as expected, with 1 if not, with 3 if a file is refused, and with 4 if
    the report cannot be written.

    Examples:

        wirewatch rules test

        wirewatch rules test rules --strict --junit report.xml
    """
    with told_plainly(as_json=as_json):
        if report_file is not None:
            named(report_file, ".xml", "--junit")
        loaded = settings(config)
        given = list(paths or [loaded.path(path) for path in loaded.settings.rules])
        tests = files_of_tests(given)
        rule_files = [path for path in given if path not in tests]
        book = load_rulebook(loaded, rule_files if paths and rule_files else ())
        cases = _cases(tests, book.rules)
        report = run_tests(cases, book.rules, Classifier(book.taxonomy), deduper_of(loaded))
        if report_file is not None:
            write_file(report_file, junit(report).encode())
    untested = bool(report.without_positive or report.without_negative)
    if as_json:
        print_json(_as_dict(report))
    else:
        _print(report, len(book.rules.rules))
    if report.failures or (strict and untested):
        raise typer.Exit(Exit.FOUND)


def _cases(files: list[Path], rules: RuleSet) -> list[Case]:
    problems: list[Problem] = []
    documents: list[Document] = []
    for file in files:
        try:
            documents.append(document.parse(read_text(file), str(file)))
        except RefusedError as error:
            problems += error.problems
    try:
        cases = read_tests(documents, rules)
    except RefusedError as error:
        problems += error.problems
        cases = []
    if problems:
        raise RefusedError(problems)
    return cases


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "ok": not report.failures,
        "tests": [
            {
                "name": outcome.case.name,
                "file": outcome.case.document.file,
                "line": outcome.case.place().line,
                "ok": not outcome.failures,
                "failures": [{**f.problem.as_dict(), "headline": f.headline} for f in outcome.failures],
            }
            for outcome in report.outcomes
        ],
        "without_positive": list(report.without_positive),
        "without_negative": list(report.without_negative),
    }


def _print(report: Report, rules: int) -> None:
    for failure in report.failures:
        problem = failure.problem
        out.print(
            f"[bold]{escape(f'{problem.file}:{problem.line}:{problem.column}')}[/bold]: {escape(problem.message)}"
        )
        out.print(f"    {escape(failure.headline)}")
        if problem.hint:
            out.print(f"    [dim]{escape(problem.hint)}[/dim]")
    failed = sum(bool(outcome.failures) for outcome in report.outcomes)
    passed = len(report.outcomes) - failed
    for told, names in (("fires", report.without_positive), ("does not fire", report.without_negative)):
        if names:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            out.print(
                f"[yellow]{len(names)} of {rules} rules have no test in which it {told}[/yellow]: {escape(shown)}"
            )
    colour = "red" if failed else "green"
    out.print(f"[{colour}]{passed} passed, {failed} failed[/{colour}]")
