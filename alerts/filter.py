"""What of an alert subscriptions and routes ask for: its severity, topics, source, rule and labels.

One set of keys for both. Of several values of a key any will do; of several keys all must hold. Topics, sources and labels
are compared without case, names of rules with it; ``*`` is any characters, also none, and ``?`` is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from streams.core.decide import Firing
from streams.core.document import did_you_mean
from streams.core.query.view import fold_value
from streams.core.records import Severity

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_COMPARED = re.compile(r"\s*(>=|<=|>|<)\s*(\w+)\s*")


@dataclass(frozen=True, slots=True)
class Globs:
    """Texts of which one must be met, some with wildcards."""

    written: tuple[str, ...]
    cased: bool = False
    _regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        written = self.written if self.cased else map(fold_value, self.written)
        object.__setattr__(self, "_regex", re.compile("|".join(map(_regex, written)), re.DOTALL))

    def meet(self, values: Iterable[str]) -> bool:
        """Whether one of ``values`` is one of the texts."""
        return any(self._regex.fullmatch(value if self.cased else fold_value(value)) for value in values)

    @property
    def plain(self) -> tuple[str, ...]:
        """The texts without wildcards."""
        return tuple(text for text in self.written if not {"*", "?"} & set(text))

    def __str__(self) -> str:
        return ",".join(self.written)


def _regex(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in glob)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which firings are meant; what is None is not asked."""

    severity: tuple[Severity, ...] | None = None
    topic: Globs | None = None
    source: Globs | None = None
    rule: Globs | None = None
    labels: tuple[tuple[str, Globs], ...] = ()

    def passes(self, firing: Firing) -> bool:
        """Whether a firing is meant."""
        return not any(self.failures(firing))

    def failures(self, firing: Firing) -> Iterator[str]:
        """What a firing lacks to be meant, each in words."""
        rule, headline = firing.rule, firing.headline
        if self.severity is not None and rule.severity not in self.severity:
            yield f"severity is {rule.severity}"
        if self.topic is not None and not self.topic.meet(topics := [match.topic for match in headline.topics]):
            yield f"topic is {', '.join(topics) or 'none'}"
        if self.source is not None and not self.source.meet([headline.headline.source]):
            yield f"source is {headline.headline.source}"
        if self.rule is not None and not self.rule.meet([rule.name]):
            yield f"rule is {rule.name}"
        for name, values in self.labels:
            if name not in rule.labels:
                yield f"there is no label {name}"
            elif not values.meet([rule.labels[name]]):
                yield f"label {name} is {rule.labels[name]}"

    def __bool__(self) -> bool:
        return self != ANYTHING

    def __str__(self) -> str:
        """The filter in one line, which tells it from others."""
        parts = [f"severity={_levels(self.severity)}"] if self.severity is not None else []
        parts += [
            f"{name}={globs}"
            for name, globs in (("topic", self.topic), ("source", self.source), ("rule", self.rule))
            if globs is not None
        ]
        return " ".join([*parts, *(f"{name}={values}" for name, values in self.labels)])


#: What every firing passes.
ANYTHING = Filter()


def _levels(severities: tuple[Severity, ...]) -> str:
    """Severities as they are written: ``>=high`` where these are the upper ones."""
    if len(severities) > 1 and severities == SEVERITIES[-len(severities) :]:
        return f">={severities[0]}"
    return ",".join(severities)


def parse_severities(value: Any) -> tuple[Severity, ...]:
    """``high``, ``[high, critical]``, ``">=high"``: the severities that are meant, in their order; a pydantic validator.

    Raises:
        ValueError: one is none.
    """
    found: set[Severity] = set()
    for given in value if isinstance(value, list | tuple) and value else [value]:
        compared = _COMPARED.fullmatch(given) if isinstance(given, str) else None
        level = compared[2] if compared else given
        if level not in SEVERITIES:
            hint = did_you_mean(level, SEVERITIES) if isinstance(level, str) else ""
            way = hint if hint.startswith("did") else f"write one of {', '.join(SEVERITIES)}, or such as `>=high`"
            raise ValueError(f"this is no severity: {way}")
        place = SEVERITIES.index(level)
        found.update(
            {
                "": SEVERITIES[place : place + 1],
                ">=": SEVERITIES[place:],
                ">": SEVERITIES[place + 1 :],
                "<=": SEVERITIES[: place + 1],
                "<": SEVERITIES[:place],
            }[compared[1] if compared else ""]
        )
    if not found:
        raise ValueError("no severity is so")
    return tuple(severity for severity in SEVERITIES if severity in found)


def one_or_several(value: Any) -> tuple[str, ...]:
    """A text, or a list of them; a pydantic validator.

    Raises:
        ValueError: it is neither, or one is empty.
    """
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(text, str) and text.strip() for text in values):
        raise ValueError("write a text, or several as `[one, two]`; put figures and yes/no in quotes")
    return tuple(text.strip() for text in values)


Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_several)]


class FilterModel(BaseModel):
    """A filter as it is written."""

    model_config = ConfigDict(extra="forbid")

    severity: Annotated[tuple[Severity, ...], BeforeValidator(parse_severities)] | None = None
    topic: Texts | None = None
    source: Texts | None = None
    rule: Texts | None = None
    labels: Mapping[str, Texts] = Field(default_factory=dict)

    def filter(self) -> Filter:
        """The filter."""
        return Filter(
            severity=self.severity,
            topic=_globs(self.topic),
            source=_globs(self.source),
            rule=_globs(self.rule, cased=True),
            labels=tuple((name, Globs(values)) for name, values in sorted(self.labels.items())),
        )


def _globs(texts: tuple[str, ...] | None, *, cased: bool = False) -> Globs | None:
    return None if texts is None else Globs(texts, cased)
