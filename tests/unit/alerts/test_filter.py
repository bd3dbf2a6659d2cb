from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from alerts.filter import ANYTHING, SEVERITIES, FilterModel, parse_severities
from tests.unit.alerts.routing import firing


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("high", ("high",)),
        (["critical", "info"], ("info", "critical")),
        (">=high", ("high", "critical")),
        ("> low", ("medium", "high", "critical")),
        ("<medium", ("info", "low")),
        ("<=info", ("info",)),
        (["<=low", "critical"], ("info", "low", "critical")),
    ],
)
def test_severities_are_read(written: object, meant: tuple[str, ...]) -> None:
    assert parse_severities(written) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [("hihg", "did you mean `high`"), (">critical", "no severity is so"), (3, ">=high"), ([], ">=high")],
)
def test_what_is_no_severity_is_refused(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_severities(written)


@pytest.mark.parametrize(
    ("written", "passes"),
    [
        ({}, True),
        ({"severity": ">=high"}, True),
        ({"severity": "low"}, False),
        ({"topic": "Iran"}, True),
        ({"topic": ["tech", "ir*"]}, True),
        ({"topic": "tech"}, False),
        ({"source": "*.COM"}, True),
        ({"source": "reuters"}, False),
        ({"source": "reuters?com"}, True),
        ({"rule": "iran-*"}, True),
        ({"rule": "Iran-*"}, False),
        ({"rule": "iran.oil"}, False),
        ({"labels": {"region": "gulf"}}, True),
        ({"labels": {"region": ["asia", "G*"]}}, True),
        ({"labels": {"region": "asia"}}, False),
        ({"labels": {"desk": "*"}}, False),
        ({"severity": "high", "topic": "iran", "source": "*", "rule": "*", "labels": {"region": "*"}}, True),
        ({"severity": "high", "topic": "tech"}, False),
    ],
)
def test_of_several_values_any_of_several_keys_all(written: dict[str, Any], passes: bool) -> None:
    meant = firing(labels={"region": "gulf"})
    assert FilterModel.model_validate(written).filter().passes(meant) is passes


def test_what_is_lacking_is_told() -> None:
    asked = FilterModel.model_validate({"severity": "low", "topic": "tech", "labels": {"desk": "x", "region": "asia"}})
    found = list(asked.filter().failures(firing(labels={"region": "gulf"}, topics=("iran", "oil"))))
    assert found == ["severity is high", "topic is iran, oil", "there is no label desk", "label region is gulf"]
    assert "topic is none" in asked.filter().failures(firing(topics=()))


def test_a_filter_is_told_in_a_line() -> None:
    written = {"severity": ">=high", "topic": ["a", "b*"], "labels": {"region": "gulf"}}
    asked = FilterModel.model_validate(written).filter()
    assert str(asked) == "severity=>=high topic=a,b* region=gulf"
    assert asked
    assert not ANYTHING
    assert str(FilterModel.model_validate({"severity": "info"}).filter()) == "severity=info"
    assert str(FilterModel.model_validate({"severity": list(SEVERITIES)}).filter()) == "severity=>=info"


@pytest.mark.parametrize(
    "wrong", [{"topic": []}, {"topic": ""}, {"topic": 5}, {"labels": {"a": None}}, {"topics": "x"}]
)
def test_what_is_no_filter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FilterModel.model_validate(wrong)
