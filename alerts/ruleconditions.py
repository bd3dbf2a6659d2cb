"""The keys of a rule that go beyond its query, as they are written in YAML: how many, after what, how often, when.

Each is a model with a ``settings`` that the core knows. ``docs/reference/rules.md`` explains them with examples.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, WithJsonSchema
from pydantic import model_validator as validates

from alerts.route import GROUP_INTERVAL, GROUP_WAIT, grouped_by
from streams.core.conditions import Absence, Burst, By, Collect, Repeat, Sequence, Spike, Throttle
from streams.core.duration import parse_duration, written
from streams.core.hours import WeeklyHours

_SPAN_SCHEMA = {"type": "string", "pattern": "^[0-9]", "examples": ["30s", "15m", "4h", "7d"]}
#: As far back as a rule may look: what is older than Kafka keeps could not be laid anew where Redis lost it.
LONGEST = timedelta(days=7)


def _some(span: timedelta) -> timedelta:
    if not timedelta() < span <= LONGEST:
        raise ValueError(f"is {written(span)}, and a rule looks back at least a moment and at most {written(LONGEST)}")
    return span


#: A span of time that alerts wait to be told together, also none.
Wait = Annotated[timedelta, BeforeValidator(parse_duration), WithJsonSchema(_SPAN_SCHEMA)]
#: A span of event time that a rule looks back.
Span = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_some), WithJsonSchema(_SPAN_SCHEMA)]
ActiveHours = Annotated[
    WeeklyHours,
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "examples": ["mon-fri 07:00-19:00 Europe/London"],
        }
    ),
]


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _short(key: str) -> Any:
    """A key that may be given by its most important setting alone: ``repeat: 4h``."""

    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str) else value

    return BeforeValidator(read)


class ThrottleModel(_Keys):
    """At most so many alerts in a period; more are held back."""

    count: int = Field(1, ge=1, description="The most alerts in any period.")
    per: Span = Field(description="The period, such as 1h.")
    by: By = Field("rule", description="What is counted apart.")

    def settings(self) -> Throttle:
        return Throttle(self.count, self.per, self.by)


class RepeatModel(_Keys):
    """A pause after each alert; what comes in it is held back."""

    after: Span = Field(description="The pause, such as 4h.")
    by: By = Field("story", description="What has a pause of its own.")
    up_to: Span | None = Field(None, description="The pause doubles up to this while something is held back in it.")

    @validates(mode="after")
    def _grows(self) -> Self:
        if self.up_to is not None and self.up_to <= self.after:
            raise ValueError("`up_to` is longer than `after`, or left out")
        return self

    def settings(self) -> Repeat:
        return Repeat(self.after, self.by, self.up_to)


class BurstModel(_Keys):
    """Fire when there are so many headlines, of so many sources, within a span."""

    count: int = Field(1, ge=1, description="How many headlines.")
    sources: int = Field(1, ge=1, description="Of how many distinct sources.")
    within: Span = Field(description="The span, such as 10m.")
    by: By = Field("rule", description="What is counted apart.")

    @validates(mode="after")
    def _is_one(self) -> Self:
        if self.count == 1 and self.sources == 1:
            raise ValueError("ask for a `count` or for `sources` of 2 or more")
        return self

    def settings(self) -> Burst:
        return Burst(self.within, max(self.count, self.sources), self.sources, self.by)


class SpikeModel(_Keys):
    """Fire when there are many more headlines within a span than usual."""

    factor: float = Field(gt=1, le=1000, description="How many times as many as usual.")
    within: Span = Field(description="The span, such as 1h.")
    reference: Span = Field(description="The span before it that says what is usual, such as 1d.")
    at_least: int = Field(5, ge=1, description="Never for fewer headlines than these.")
    by: By = Field("rule", description="What is counted apart.")

    @validates(mode="after")
    def _is_longer(self) -> Self:
        if self.reference < self.within:
            raise ValueError("`reference` is at least as long as `within`")
        return self

    def settings(self) -> Spike:
        return Spike(self.factor, self.within, self.reference, self.at_least, self.by)


class SequenceModel(_Keys):
    """Fire on what the rule asks for, where something else came before it."""

    after: StrictStr = Field(description="The query of what comes first.")
    within: Span = Field(description="How long before, at most.")
    by: By = Field("rule", description="What both must have in common: a story, a topic, a source, or nothing (rule).")

    def settings(self) -> Sequence:
        return Sequence(self.within, self.by)


class GroupModel(_Keys):
    """Collect alerts into one message."""

    by: Annotated[
        list[Annotated[StrictStr, AfterValidator(grouped_by)]],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field([], description="What has a message of its own.")
    wait: Wait = Field(GROUP_WAIT, description="How long the first message waits for company, such as 30s.")
    interval: Wait = Field(GROUP_INTERVAL, description="How long after a message the next one goes, at the earliest.")

    def settings(self) -> Collect:
        return Collect(tuple(self.by), self.wait, self.interval)


class ConditionKeys(BaseModel):
    """The keys themselves, for a rule to have."""

    CONDITIONS: ClassVar = ("burst", "spike", "sequence", "absence")

    burst: BurstModel | None = Field(None, description="Fire when so many headlines come within a span.")
    spike: SpikeModel | None = Field(None, description="Fire when many more come than usual.")
    sequence: SequenceModel | None = Field(None, description="Fire only after something else.")
    absence: Span | None = Field(None, description="Fire when nothing comes for so long, such as 2h.")
    throttle: ThrottleModel | None = Field(None, description="At most so many alerts in a period.")
    repeat: Annotated[RepeatModel | None, _short("after")] = Field(
        None, description="A pause after each alert of a story, such as 4h."
    )
    group: GroupModel | None = Field(None, description="Collect the alerts of a channel into one message.")
    active: ActiveHours = Field(
        (), description="When the rule alerts, such as `mon-fri 07:00-19:00 Europe/London`.", validate_default=False
    )

    @validates(mode="after")
    def _one_condition(self) -> Self:
        given = [name for name in self.CONDITIONS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"a rule has one condition, not {' and '.join(f'`{name}`' for name in given)}")
        return self

    def settings(self) -> dict[str, Any]:
        """What they come to, by the names that `Rule` has for it."""
        condition = next((key.settings() for key in (self.burst, self.spike, self.sequence) if key is not None), None)
        return {
            "condition": condition if self.absence is None else Absence(self.absence),
            "throttle": self.throttle.settings() if self.throttle else None,
            "repeat": self.repeat.settings() if self.repeat else None,
            "active": self.active,
            "group": self.group.settings() if self.group else None,
        }
