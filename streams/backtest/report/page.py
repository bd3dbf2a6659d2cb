"""The report as one HTML page that opens from disk without a network.

Headlines are hostile input: Jinja escapes all texts, plots have their own escaping, and the page's policy lets no other
script run than its own two, by their hashes, and no request leave.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from streams.backtest.report.delays import in_words
from streams.backtest.report.figures import Figure, figures_of
from streams.backtest.report.sums import Sums

#: Typical headlines that are shown of a rule.
TYPICAL = 4
#: Rules that are shown with their headlines; the others are in the table.
LOUDEST = 12
_HERE = "streams.backtest.report"


@dataclass(frozen=True, slots=True)
class About:
    """What was replayed, with what, when, and what kept it from being all. ``made`` is aware."""

    sources: Sequence[str]
    rules: int
    rules_revision: str
    taxonomy_revision: str
    made: datetime
    version: str
    not_simulated: Sequence[str]
    unreadable: int = 0
    late: int = 0
    interrupted: bool = False


def report(sums: Sums, about: About, plotly: str) -> str:
    """The page of a replay. ``plotly`` is the script of plotly.js."""
    figures = figures_of(sums)
    loudest = sums.loudest
    return page(
        "report.html.jinja",
        plotly,
        figures,
        about=about,
        sums=sums,
        loudest=loudest[:LOUDEST],
        rules=loudest,
        noisy=[(one, why) for one in loudest if (why := sums.too_much(one))],
        held_only=[one for one in sums.silent if one.held],
        silent=[one for one in sums.silent if not one.held],
        alerted=sums.stories.biggest(alerted=True),
        untold=sums.stories.biggest(alerted=False),
        typical=TYPICAL,
    )


def page(template: str, plotly: str, figures: dict[str, Figure], **values: Any) -> str:
    """A page of ours with its plots, self-contained."""
    environment = Environment(
        loader=PackageLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"moment": _moment, "day": _day, "delay": in_words, "width": _width}
    own = resources.files(_HERE).joinpath("templates", "page.js").read_text("utf-8")
    style = resources.files(_HERE).joinpath("templates", "page.css").read_text("utf-8")
    scripts = [_inline(plotly), _inline(own)] if figures else []
    allowed = " ".join(_hash(script) for script in scripts) or "'none'"
    return environment.get_template(template).render(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'",
        style=Markup(style),  # noqa: S704 - ours, from this package
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - plotly's and ours
        figures=figures,
        **values,
    )


def _inline(script: str) -> str:
    """A script that cannot end its element; in a script, the backslash changes nothing but that."""
    return script.replace("</script", "<\\/script")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _moment(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"


def _day(at: date) -> str:
    return f"{at:%a %-d %b %Y}"


def _width(seconds: int) -> str:
    """How wide a bar is, for a person."""
    for unit, name in ((7 * 86_400, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            count = seconds // unit
            return f"one {name}" if count == 1 else f"{count} {name}s"
    return f"{seconds} seconds"
