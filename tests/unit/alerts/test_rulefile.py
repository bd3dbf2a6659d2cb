from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest

from alerts.channels import load_channels
from alerts.rulefile import load_rules
from streams.core.document import Problem, RefusedError
from streams.core.match import Matcher
from streams.core.records import Classified, Headline, TopicMatch

STARTER = Path(str(resources.files("streams"))) / "starter"

GOOD = """\
rules:
  - name: iran-oil            # unique over all files
    title: Iran and oil
    when: topic:iran AND (oil OR tanker* OR "strait of hormuz")
    severity: high
    channels: [desk, archive]
    labels: {region: gulf}
    owner: energy
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str | bytes, name: str = "rules.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_file


def refused(
    *paths: Path, channels: Collection[str] | None = None, topics: Collection[str] | None = None
) -> list[Problem]:
    with pytest.raises(RefusedError) as caught:
        load_rules(paths, channels=channels, topics=topics)
    return list(caught.value.problems)


def told(problems: list[Problem]) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in problems]


def test_reads_a_rule(write: Write) -> None:
    rules = load_rules([write(GOOD)], channels=["archive", "desk"], topics=["Iran"]).rules
    assert len(rules) == 1
    rule = rules[0]
    assert (rule.name, rule.title, rule.severity, rule.owner) == ("iran-oil", "Iran and oil", "high", "energy")
    assert rule.channels == ("desk", "archive")
    assert rule.labels == {"region": "gulf"}
    assert str(rule.query) == 'topic:iran AND (oil OR tanker* OR "strait of hormuz")'


def test_what_may_be_left_out(write: Write) -> None:
    rule = load_rules([write("rules:\n- {name: a, when: oil, channels: [desk]}")]).rules[0]
    assert (rule.title, rule.severity, rule.labels, rule.owner) == ("a", "medium", {}, "")


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    assert load_rules([write(b"\xef\xbb\xbf" + GOOD.encode())]).rules[0].name == "iran-oil"


def test_layout_does_not_change_the_revision(write: Write) -> None:
    one = load_rules([write(GOOD)])
    other = load_rules([write("# energy\n\n" + GOOD.replace("when: topic", "when: >-\n      topic"))])
    assert one.revision == other.revision


def test_a_folder_is_read_with_the_folders_in_it(write: Write, tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "deep/er/c.yaml"):
        write(GOOD.replace("iran-oil", Path(name).stem), name)
    for name in ("b_test.yaml", "a_test.yml", ".hidden.yaml", "..data/b.yaml", "notes.txt"):
        write("not: rules", name)
    (tmp_path / "folder.yaml").mkdir()
    assert [rule.name for rule in load_rules([tmp_path]).rules] == ["a", "b", "c"]


def test_a_file_that_is_named_twice_is_read_once(write: Write, tmp_path: Path) -> None:
    path = write(GOOD)
    assert len(load_rules([tmp_path, path, path]).rules) == 1


def test_every_mistake_of_every_file_at_once(write: Write, tmp_path: Path) -> None:
    write(
        """\
rules:
  - name: a b
    when: iran AND oil^2
    severity: urgent
    chanels: [desk]
  - name: c
    when: oil
    channels: [desk, dsk]
  - channels: []
""",
        "1.yaml",
    )
    write("rules: oil", "2.yaml")
    write(b"\xff\xfe", "3.yaml")
    write("", "4.yaml")
    problems = refused(tmp_path, tmp_path / "none.yaml", channels=["desk"])
    assert [(Path(problem.file).name, problem.line, problem.column, problem.message) for problem in problems] == [
        ("1.yaml", 2, 5, "`channels` is missing"),
        (
            "1.yaml",
            2,
            11,
            "`name`: use up to 100 letters, digits, `_`, `-` and `.`, the first a letter or digit, not 'a b'",
        ),
        ("1.yaml", 3, 23, "`^` weighs terms for a score, and a rule has none"),
        ("1.yaml", 4, 15, "`severity`: input should be 'info', 'low', 'medium', 'high' or 'critical', not 'urgent'"),
        ("1.yaml", 5, 5, "unknown key `chanels`"),
        ("1.yaml", 8, 22, "there is no channel `dsk`"),
        ("1.yaml", 9, 5, "`name` is missing"),
        ("1.yaml", 9, 5, "`when` is missing"),
        ("1.yaml", 9, 15, "`channels`: name at least one channel"),
        ("2.yaml", 1, 8, "there is no list of rules here"),
        ("3.yaml", 0, 0, "is not UTF-8 text"),
        ("4.yaml", 0, 0, "is empty"),
        ("none.yaml", 0, 0, "cannot be read: No such file or directory"),
    ]
    hints = {problem.message: problem.hint for problem in problems}
    assert hints["unknown key `chanels`"] == "did you mean `channels`?"
    assert hints["there is no channel `dsk`"] == "did you mean `desk`?"
    assert "`- name: …`" in hints["is empty"]


@pytest.mark.parametrize(
    ("scalar", "line", "column"),
    [
        ("iran AND oil^2", 3, 23),
        ('"iran AND oil^2"', 3, 24),
        ("'iran AND oil^2'", 3, 24),
        (">-\n      iran\n      AND oil^2", 5, 14),
        ("|\n      iran AND\n\n      oil^2", 6, 10),
        (">\n      iran\n        AND oil^2", 5, 16),
        ("iran AND\n      oil^2", 4, 10),
        ("iran AND (oil", 3, 20),
        ("iran AND", 3, 19),
        ('"iran AND"', 3, 20),
        (">-\n      iran\n      AND", 5, 10),
        ("''", 3, 11),
    ],
)
def test_a_mistake_in_a_query_is_placed_in_the_file(write: Write, scalar: str, line: int, column: int) -> None:
    problems = refused(write(f"rules:\n  - name: a\n    when: {scalar}\n    channels: [desk]\n"))
    assert [(problem.line, problem.column) for problem in problems] == [(line, column)]


def test_a_mistake_behind_an_escape_tells_its_place_in_the_query(write: Write) -> None:
    problems = refused(write('rules:\n  - name: a\n    when: "\\"strait of hormuz\\" oil^2"\n    channels: [desk]\n'))
    assert told(problems) == [
        (3, 11, "at character 23 of the query: `^` weighs terms for a score, and a rule has none")
    ]


@pytest.mark.parametrize(
    "when", ['"strait of hormuz" AND iran', "*tanker OR oil", "!iran oil", "topic: iran", "[a TO b] AND c", "@desk"]
)
def test_a_query_that_yaml_takes_for_its_own_is_told_how_to_be_written(write: Write, when: str) -> None:
    problems = refused(write(f"rules:\n  - name: a\n    when: {when}\n    channels: [desk]\n"))
    assert len(problems) == 1
    assert problems[0].message.startswith("not YAML")
    assert "`when: >-`" in problems[0].hint


def test_names_are_unique_over_all_files(write: Write, tmp_path: Path) -> None:
    first = write(GOOD, "1.yaml")
    write(GOOD.replace("topic:iran", "oil"), "2.yaml")
    problems = refused(tmp_path)
    assert told(problems) == [(2, 11, f"another rule is named `iran-oil`, at {first}:2:11")]
    assert Path(problems[0].file).name == "2.yaml"


def test_topics_that_there_are_not(write: Write) -> None:
    problems = refused(write(GOOD), topics=["iraq", "tech_deals"])
    assert told(problems) == [(4, 11, "there is no topic `iran`")]
    assert problems[0].hint == "did you mean `iraq`?"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("# nothing yet\n", (0, 0), "is empty"),
        ("- name: a\n", (1, 1), "this is not a mapping"),
        ("rule: []\n", (1, 1), "unknown key `rule`"),
        ("rules: []\n", (1, 8), "there is no list of rules here"),
        ("rules:\n  - oil\n", (2, 5), "this is not a rule"),
        ("rules:\n  -\n  - {name: a, when: oil, channels: [desk]}\n", (2, 4), "this is not a rule"),
        (
            "rules:\n  - {name: a, when: 2024, channels: [desk]}\n",
            (2, 21),
            "`when`: input should be a valid string, not 2024",
        ),
        (
            "rules:\n  - {name: a, when: oil, channels: desk}\n",
            (2, 36),
            "`channels`: input should be a valid list, not 'desk'",
        ),
        ("rules:\n  - {name: a, when: oil, channels: [desk, desk]}\n", (2, 36), "`channels`: `desk` stands twice"),
        (
            "rules:\n  - {name: a, when: oil, channels: [desk], title: ''}\n",
            (2, 51),
            "`title`: a title is one line of up to 200",
        ),
        ("rules:\n  - {name: a, name: b}\n", (2, 15), "`name` stands twice"),
        ("rules: [\n", (2, 1), "not YAML"),
    ],
)
def test_what_is_no_rule_file(write: Write, text: str, place: tuple[int, int], message: str) -> None:
    problem = refused(write(text))[0]
    assert (problem.line, problem.column) == place
    assert problem.message.startswith(message)


def test_a_folder_without_rules(write: Write, tmp_path: Path) -> None:
    write("a: b", "a_test.yaml")
    assert told(refused(tmp_path)) == [(0, 0, "holds no rule files")]


def test_the_starter_rules_are_in_order() -> None:
    rules = load_rules(
        [STARTER / "rules"],
        channels=load_channels(STARTER / "channels.yaml"),
        topics=["iran", "russia_energy", "tech_deals"],
    )
    assert 8 <= len(rules.rules) <= 12
    assert rules.unindexed == ()


@pytest.mark.parametrize(
    ("text", "topic", "status", "fired"),
    [
        ("Iran's crude exports fall", "iran", "usable", ["iran-oil"]),
        ("Crude exports of Kuwait fall", None, "usable", []),
        ("Tanker adrift in the Gulf of Mexico", None, "usable", []),
        ("Tanker adrift in the Gulf of Oman", None, "usable", ["tankers-at-risk"]),
        ("Coastguard: seized two more tankers", None, "usable", ["tankers-at-risk"]),
        ("Inspectors count centrifuges", "iran", "usable", ["iran-nuclear"]),
        ("Opinion: the centrifuges", "iran", "usable", []),
        ("Price cap on Urals lowered", "russia_energy", "usable", ["russia-oil-sanctions"]),
        ("Refinery halts after drone attack", "russia_energy", "usable", ["russia-outage"]),
        ("Chip maker buys rival for $4.5bn", "tech_deals", "usable", ["tech-deal-billions"]),
        ("Chip maker buys rival for $45m", "tech_deals", "usable", []),
        ("Headline withdrawn", None, "canceled", ["withdrawn"]),
    ],
)
def test_the_starter_rules_fire(text: str, topic: str | None, status: str, fired: list[str]) -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    headline = Classified(
        id="1",
        seq=1,
        position="headlines.raw:0:1",
        received=now,
        headline=Headline(headline=text, published=now, status=status),  # type: ignore[arg-type]
        story_id="1",
        topics=(TopicMatch(topic=topic, confidence=1.0),) if topic else (),
    )
    matches = Matcher(load_rules([STARTER / "rules"])).match(headline)
    assert [match.rule.name for match in matches] == fired
