"""Bodies of a user's own for webhooks: Jinja2 templates in its sandbox, the same bytes for the same alert.

A template sees the alert and nothing else: no clock, no chance, no file. Source of what the sandbox keeps out:
https://jinja.palletsprojects.com/en/stable/sandbox/.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from alerts import render
from streams.core.records import Alert, Classified, Evidence, FiredRule, Headline, Span, TopicMatch

#: The most bytes of a body.
LIMIT = 64 * 1024

#: What makes another text of the same alert, or reads none of it.
_LEFT_OUT = {"filters": ("random",), "globals": ("lipsum",)}

_NAME = "body"


class TemplateError(Exception):
    """A template is wrong, or makes nothing that can be sent of an alert; ``line`` is that of the template, or 0."""

    def __init__(self, message: str, line: int = 0) -> None:
        self.message = message
        self.line = line
        super().__init__(f"line {line}: {message}" if line else message)


class BodyTemplate:
    """What makes the body of a webhook out of an alert.

    A body whose ``content_type`` is JSON has to be JSON.

    Raises:
        TemplateError: the text is no template.
    """

    def __init__(self, text: str, content_type: str) -> None:
        # 70 ms that nobody has to wait for who has no template.
        from jinja2 import StrictUndefined, TemplateSyntaxError  # noqa: PLC0415
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        for name in _LEFT_OUT["filters"]:
            del environment.filters[name]
        for name in _LEFT_OUT["globals"]:
            del environment.globals[name]
        # As it is: jinja2's own would write "ü" as an escape, and sort the keys.
        environment.filters["tojson"] = _to_json
        try:
            # A name of its own, by which the lines of errors are found.
            code = environment.compile(text, name=_NAME, filename=_NAME)
        except TemplateSyntaxError as error:
            raise TemplateError(str(error.message), error.lineno) from None
        except Exception as error:  # noqa: BLE001 - such as a number of 5,000 digits, or a hundred brackets in each other
            raise TemplateError(_words(error)) from None
        self._template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        self._json = _is_json(content_type)

    def body(self, alert: Alert) -> bytes:
        """The body for an alert, whose longest parts are shortened as in the body without a template.

        Raises:
            TemplateError: it names something that the alert has not, fails otherwise, is larger than :data:`LIMIT`, or
            no JSON.
        """
        fitting, truncated = render.fitted(alert)
        seen = {"alert": _plain(fitting), "id": alert.alert_id, "line": render.line(fitting), "truncated": truncated}
        try:
            body = _joined(self._template.generate(seen))
        except TemplateError:
            raise
        except Exception as error:  # noqa: BLE001 - a filter fails in any way on what it is not made for; all is the template's
            raise TemplateError(_words(error), _line_of(error)) from None
        if self._json:
            try:
                msgspec.json.decode(body)
            except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
                raise TemplateError(
                    "what it makes is no JSON: write values as `{{ … | tojson }}`, without quotes"
                ) from None
        return body

    def check(self) -> None:
        """Try it on two alerts: one that has everything, in awkward characters, and one that has the least.

        Raises:
            TemplateError: as :meth:`body`.
        """
        self.body(_sample(full=True))
        try:
            self.body(_sample(full=False))
        except TemplateError as error:
            raise TemplateError(
                f"{error.message}, of an alert that has only what every alert has", error.line
            ) from None


def _words(error: Exception) -> str:
    """What Jinja2 says; of other errors, also the kind, without which few are understood."""
    said = str(error)
    if type(error).__module__.startswith("jinja2"):
        return said or type(error).__name__
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _joined(pieces: Iterator[str]) -> bytes:
    body = bytearray()
    for piece in pieces:
        body += piece.encode()
        if len(body) > LIMIT:
            raise TemplateError(f"what it makes is longer than {LIMIT:,} bytes")
    return bytes(body)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _to_json(value: Any) -> str:
    # What else comes is what filters give, to be gone through, or a name that there is not, which says so then.
    return json.dumps(value, ensure_ascii=False, default=list)


def _plain(value: Any) -> Any:
    """A record as mappings and lists, with every field, also those that are empty; times are texts as in JSON."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)


def _line_of(error: BaseException) -> int:
    """The line of the template at which rendering failed; Jinja2 has its frames in the traceback."""
    line, frame = 0, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == _NAME:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


def _sample(*, full: bool) -> Alert:
    at = datetime(2025, 3, 3, 12, tzinfo=UTC)
    text = 'Ferries "resume" & <storm>\n\\warning \U0001f6a2'
    span = Span(0, 7, "Ferries")
    headline = Headline(headline=text if full else "", published=at)
    if full:
        headline = Headline(
            headline=text,
            published=at,
            source='harbour "east"',
            url="https://harbour.example/n/1?a=1&b=2",
            id="17",
            author="A. Author",
            body=text,
            language="en",
            status="corrected",
        )
    return Alert(
        alert_id="al_sample",
        channel="sample",
        rule=FiredRule(
            name="sample",
            title='A "sample"' if full else "",
            severity="high",
            revision="1",
            matched=(span,) if full else (),
            labels={"desk": '"energy"'} if full else {},
            because="2 headlines" if full else None,
        ),
        headline=Classified(
            id="h-1",
            seq=1,
            position="headlines.raw:0:1",
            received=at + timedelta(seconds=2),
            headline=headline,
            story_id="st-1",
            kind="update" if full else "first",
            update_of="h-0" if full else None,
            reason="new" if full else None,
            story_sources=2 if full else 1,
            story_began=at if full else None,
            topics=(
                TopicMatch(
                    topic="shipping", confidence=0.9, evidence=(Evidence(span=span, entity="e", condition="c"),)
                ),
            )
            if full
            else (),
        ),
    )
