from __future__ import annotations

from pathlib import Path

import pytest

from alerts.routefile import Known, load_routes, read_routes
from streams.core.document import RefusedError

KNOWN = Known(channels={"desk", "pager"}, topics={"iran", "tech_deals"}, rules={"iran-oil", "tech"})


def problems(text: str) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        read_routes(text, "r.yaml", KNOWN)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "r.yaml:1:1: there is no route here (write `route:`"),
        ("- a", "r.yaml:1:1: there is no route here"),
        ("rout: {}", "r.yaml:1:1: there is no route here"),
        ("route: {}\nhour: {}", "r.yaml:2:1: unknown key `hour` (did you mean `hours`?)"),
        ("route:\n  chanels: [desk]", "r.yaml:2:3: unknown key `chanels` (did you mean `channels`?)"),
        ("route:\n  continu: true", "r.yaml:2:3: unknown key `continu` (did you mean `continue`?)"),
        ("route: {channels: [dsk]}", "r.yaml:1:20: there is no channel `dsk` (did you mean `desk`?)"),
        ("route: {channels: dsk}", "r.yaml:1:19: there is no channel `dsk` (did you mean `desk`?)"),
        ("route: {match: {topic: iran}}", "r.yaml:1:9: the first route takes all alerts"),
        ("route: {continue: true}", "r.yaml:1:9: nothing comes after the first route"),
        ("route: {routes: [{match: {topic: irn}}]}", "r.yaml:1:34: there is no topic `irn` (did you mean `iran`?)"),
        ("route: {routes: [{match: {rule: [tech, iran-ol]}}]}", "r.yaml:1:40: there is no rule `iran-ol`"),
        (
            "route: {routes: [{match: {severity: hgh}}]}",
            "r.yaml:1:37: `severity`: this is no severity: did you mean `high`",
        ),
        ("route: {routes: [{match: {severty: high}}]}", "unknown key `severty` (did you mean `severity`?)"),
        ("route: {routes: [{match: {}}]}", "r.yaml:1:19: `match` asks for nothing"),
        ("route: {routes: [{}]}", "r.yaml:1:18: this route matches everything and changes nothing"),
        ("route: {group_by: [topics]}", "alerts are not grouped by `topics`: did you mean `topic`?, and `label:NAME`"),
        ("route: {group_by: ['label:']}", "not grouped by `label:`"),
        ("route: {group_wait: 5 minutes}", "r.yaml:1:21: `group_wait`: a span of time is written like 15s"),
        ("route: {repeat_interval: 0s}", "`repeat_interval`: that is shorter than a second"),
        (
            "route: {mute: [nigts]}\nhours: {nights: 22:00-06:00}",
            "r.yaml:1:16: there are no hours named `nigts` (did you mean",
        ),
        ("route: {active: [mon-fri 8-18]}", "r.yaml:1:18: `8-18` are no times of a day"),
        ("route: {}\nhours: {nights: [mon 8:00-9:00, mn 1:00-2:00]}", "r.yaml:2:17: `nights`: `mn` is no"),
        ("route: {}\nhours: {nights: 22-6}", "r.yaml:2:17: `nights`: `22-6` are no times"),
        (
            "route: {routes: [{channels: [desk]}, {match: {topic: iran}, channels: [pager]}]}",
            "r.yaml:1:38: no alert comes here: the route before it takes all (write `continue: true` there",
        ),
        ("route:\n  routes:\n    - match: {topic: iran\n", "r.yaml:4:1: not YAML"),
        ("route: {channels: [desk], channels: [pager]}", "r.yaml:1:27: `channels` stands twice"),
    ],
)
def test_every_mistake_is_told_at_its_place(text: str, told: str) -> None:
    assert any(told in problem for problem in problems(text)), problems(text)


def test_all_mistakes_are_told_at_once() -> None:
    text = "route:\n  channels: [dsk]\n  mute: [x]\n  routes:\n    - {match: {topic: irn}, channels: [pgr]}\n"
    assert [problem.split(": ")[0] for problem in problems(text)] == [
        "r.yaml:2:14",
        "r.yaml:3:10",
        "r.yaml:5:23",
        "r.yaml:5:40",
    ]


def test_routes_may_not_stand_too_deep() -> None:
    text = "route: " + "{routes: [{match: {rule: '*'}, channels: [desk], routes: [" * 11 + "]}]}" * 11
    assert any("more than 20 deep" in problem for problem in problems(text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"routes\.yaml: cannot be read"):
        load_routes(tmp_path / "routes.yaml", KNOWN)


def test_wildcards_may_match_what_is_not_there_yet() -> None:
    read_routes("route: {routes: [{match: {rule: 'new-*', topic: 'x*'}, channels: [desk]}]}", "r.yaml", KNOWN)
    read_routes("route: {routes: [{match: {topic: Iran}, channels: [desk]}]}", "r.yaml", KNOWN)


def test_a_url_in_the_place_of_a_channel_is_not_repeated() -> None:
    (problem,) = problems("route: {channels: ['https://hooks.slack.com/services/hunter2']}")
    assert "hunter2" not in problem
