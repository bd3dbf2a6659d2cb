from __future__ import annotations

from streams.core.classify import Classifier
from streams.core.document import parse
from streams.core.taxonomy import compile_taxonomy
from streams.core.why import TopicReading

SHIPS = """
topic: ships
title: Ships
entities:
  vessels: [tanker, ferry, {name: Grace, case: true, needs: [waters]}]
words:
  waters: [strait, gulf, harbour]
  deeds: [seized, held]
ignore: [tanker jacket*]
conditions:
  - {name: a vessel in trouble, weight: 0.7, near: {of: [vessels, deeds], within: 2}}
  - {name: a vessel at sea, weight: 0.6, all: [vessels, waters], none: [{words: [toy]}]}
  - {name: a vessel of worth, weight: 0.6, all: [vessels, {money: 1000000}]}
against:
  - {name: a film, weight: 0.5, any: [{words: [film]}]}
"""


def read(headline: str) -> TopicReading:
    [reading] = Classifier(compile_taxonomy([parse(SHIPS, "ships.yaml")])).explain(headline)
    return reading


def test_what_holds_is_told_with_its_words_and_the_confidence_that_the_classifier_gives() -> None:
    reading = read("Ferry held in the strait")
    assert reading.belongs
    assert [(one.condition, [piece.span.text for piece in one.found]) for one in reading.held] == [
        ("a vessel in trouble", ["Ferry", "held"]),
        ("a vessel at sea", ["Ferry", "strait"]),
    ]
    [match] = Classifier(compile_taxonomy([parse(SHIPS, "ships.yaml")])).classify("Ferry held in the strait")
    assert reading.confidence == match.confidence == 0.88


def test_what_nearly_held_tells_what_it_lacks() -> None:
    reading = read("Ferry crew were not in the end held")
    assert not reading.belongs
    [trouble, sea, worth] = reading.nearly
    assert trouble.lacking == ("`vessels` within 2 words of `deeds`",)
    assert sea.lacking == ("`waters`",)
    assert worth.lacking == ("a sum of 1,000,000 or more",)


def test_what_bars_a_condition_is_told() -> None:
    [sea] = [one for one in read("Toy ferry in the harbour").nearly if one.condition == "a vessel at sea"]
    assert [piece.span.text for piece in sea.barred] == ["Toy"]
    assert not sea.lacking


def test_what_speaks_against_a_topic_lowers_its_confidence() -> None:
    reading = read("Ferry held in the harbour for a film")
    assert [one.condition for one in reading.against if one.holds] == ["a film"]
    assert (reading.confidence, reading.belongs) == (0.44, False)


def test_names_that_do_not_count_are_told() -> None:
    reading = read("Grace held over tanker jackets")
    assert [piece.span.text for piece in reading.doubtful] == ["Grace"]
    assert [piece.span.text for piece in reading.hidden] == ["tanker"]
    assert not reading.held


def test_of_a_headline_about_something_else_nothing_is_told() -> None:
    reading = read("Rain on Sunday")
    assert (reading.held, reading.nearly, reading.confidence) == ((), (), 0)


def test_programs_get_the_same() -> None:
    told = read("Toy ferry held in the harbour").as_dict()
    assert told["evidence"][0]["found"][0] == {"text": "ferry", "start": 4, "end": 9, "entity": "ferry"}
    assert told["nearly"][0]["barred"][0]["text"] == "Toy"
    assert (told["belongs"], told["confidence"]) == (True, 0.7)
