from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from alerts.template import LIMIT, BodyTemplate, TemplateError
from streams.core.records import Alert

Make = Callable[..., Alert]
TEAMS = """{
  "title": {{ alert.rule.title | tojson }},
  "text": {{ line | tojson }},
  "url": {{ alert.headline.headline.url | tojson }},
  "topics": {{ alert.headline.topics | map(attribute="topic") | list | tojson }},
  "id": {{ id | tojson }}
}
"""


def body(text: str, alert: Alert, content_type: str = "text/plain") -> str:
    return BodyTemplate(text, content_type).body(alert).decode()


def wrong(text: str, content_type: str = "text/plain") -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        BodyTemplate(text, content_type).check()
    return caught.value


def test_a_body_is_made_of_the_alert(make_alert: Make) -> None:
    alert = make_alert('Überfahrt "resumes" 🚢', matched=())
    template = BodyTemplate(TEAMS, "application/json")
    template.check()
    made = json.loads(template.body(alert))
    assert made["title"] == "Ferries and weather"
    assert 'Überfahrt "resumes" 🚢' in made["text"]
    assert (made["topics"], made["id"]) == (["shipping"], "al_1")
    assert "Überfahrt" in template.body(alert).decode()


def test_every_field_is_there_also_the_empty_ones_and_times_are_as_in_json(make_alert: Make) -> None:
    text = "{{ alert.headline.story_began }} {{ alert.headline.headline.published }} {{ alert.rule.labels }}"
    assert body(text, make_alert()) == "None 2025-03-03T12:00:00Z {}"


def test_the_same_alert_makes_the_same_body(make_alert: Make) -> None:
    template = BodyTemplate("{{ alert }}", "text/plain")
    assert len({template.body(make_alert()) for _ in range(3)}) == 1
    for text in ("{{ [1, 2] | random }}", "{{ lipsum() }}"):
        wrong(text)


def test_a_long_alert_is_shortened_as_it_is_without_a_template(make_alert: Make) -> None:
    text = "{{ alert.headline.headline.body | length }} {{ truncated }}"
    assert body(text, make_alert(body="x" * 100_000)) == "4000 ['headline.headline.body']"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a\n{{ alert.", 2, "expected"),
        ("{% for x in alert.headline.topics %}", 1, "endfor"),
        ("a\nb\n{{ alert.rule.nmae }}", 3, "nmae"),
        ("\n{{ aler }}", 2, "aler"),
        ("\n\n{{ 1 / 0 }}", 3, "division"),
        ("{{ alert.headline.topics[0].topic }}", 1, "of an alert that has only what every alert has"),
        ("{{ alert.headline.headline.url | upper }}\n{{ alert.headline.headline.url + 'x' }}", 2, "NoneType"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("{% include 'other' %}", 1, "loader"),
        ("{{ alert.rule.labels.update({'a': 'b'}) }}", 1, "update"),
        ("\n{{ alert.headline.topics | xmlattr }}", 2, "AttributeError: 'list' object has no attribute 'items'"),
        ("{{ line | truncate(1) }}", 1, "AssertionError: expected length >= 3, got 1"),
        ("{{ cycler() }}", 1, "RuntimeError: at least one item has to be provided"),
        pytest.param("{{ " + "1" * 5000 + " }}", 0, "ValueError: Exceeds the limit", id="a long number"),
        pytest.param("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", 0, "RecursionError", id="many brackets"),
    ],
)
def test_a_mistake_is_told_at_its_line(text: str, line: int, said: str) -> None:
    error = wrong(text)
    assert error.line == line
    assert said in error.message


def test_what_a_template_fails_on_is_told_also_of_a_single_alert(make_alert: Make) -> None:
    template = BodyTemplate("{{ alert.headline.topics | xmlattr if alert.rule.title == 'Ferries' }}", "text/plain")
    template.check()
    with pytest.raises(TemplateError, match="line 1: AttributeError"):
        template.body(make_alert(title="Ferries"))


def test_what_it_makes_has_a_limit() -> None:
    error = wrong("{% for n in range(99999) %}12345678{% endfor %}")
    assert error.message == f"what it makes is longer than {LIMIT:,} bytes"


@pytest.mark.parametrize("content_type", ["application/json", "application/cloudevents+json; charset=utf-8"])
def test_json_has_to_be_json_of_any_headline(content_type: str) -> None:
    naive = '{"text": "{{ alert.headline.headline.headline }}"}'
    assert "| tojson" in wrong(naive, content_type).message
    BodyTemplate(naive, "text/plain").check()


def test_json_that_one_alert_breaks_is_not_sent(make_alert: Make) -> None:
    text = '{"late": {% if alert.headline.received > "2026" %}yes{% else %}true{% endif %}}'
    template = BodyTemplate(text, "application/json")
    template.check()
    late = make_alert(received=make_alert().headline.received + timedelta(days=400))
    with pytest.raises(TemplateError, match="no JSON"):
        template.body(late)
