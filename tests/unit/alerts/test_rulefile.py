from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
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
        ("1.yaml", 4, 15, "`severity` is 'info', 'low', 'medium', 'high' or 'critical', not 'urgent'"),
        ("1.yaml", 5, 5, "unknown key `chanels`"),
        ("1.yaml", 8, 22, "there is no channel `dsk`"),
        ("1.yaml", 9, 5, "`name` is missing"),
        ("1.yaml", 9, 5, "`when` is missing"),
        ("1.yaml", 9, 15, "`channels`: name at least one channel"),
        ("2.yaml", 1, 8, "there is no list of rules here"),
        ("3.yaml", 0, 0, "is not UTF-8 text but UTF-16"),
        ("4.yaml", 0, 0, "is empty"),
        ("none.yaml", 0, 0, "cannot be read: No such file or directory"),
    ]
    hints = {problem.message: problem.hint for problem in problems}
    assert hints["unknown key `chanels`"] == "did you mean `channels`?"
    assert hints["there is no channel `dsk`"] == "did you mean `desk`?"
    assert "`- name: …`" in hints["is empty"]


def test_one_mistake_hides_no_other(write: Write, tmp_path: Path) -> None:
    first = write(
        """\
rulez: []
rules:
  - name: iran
    when: iran AND (oil
    channels: [dsk]
    name: iran-oil
  - name: iran
    when: topic:irn
    severity: urgent
    channels: [desk, archiv]
  - name: iran
    when: oil
    channels: [desk]
rules: []
""",
        "1.yaml",
    )
    write("rules:\n  - {name: iran, when: gas, channels: [dsk], owner: 7}\n", "2.yaml")
    problems = refused(tmp_path, channels=["desk", "archive"], topics=["iran"])
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in problems] == [
        "1.yaml:1:1: unknown key `rulez` (did you mean `rules`?)",
        "1.yaml:4:20: this parenthesis is not closed (write `)` where the group ends)",
        "1.yaml:5:16: there is no channel `dsk` (did you mean `desk`?)",
        "1.yaml:6:5: `name` stands twice, first on line 3 (keep one of them)",
        f"1.yaml:7:11: another rule is named `iran`, at {first}:3:11 (rename one: alerts are told apart by it)",
        "1.yaml:8:11: there is no topic `irn` (did you mean `iran`?)",
        "1.yaml:9:15: `severity` is 'info', 'low', 'medium', 'high' or 'critical', not 'urgent'",
        "1.yaml:10:22: there is no channel `archiv` (did you mean `archive`?)",
        f"1.yaml:11:11: another rule is named `iran`, at {first}:3:11 (rename one: alerts are told apart by it)",
        "1.yaml:14:1: `rules` stands twice, first on line 2 (keep one of them)",
        f"2.yaml:2:12: another rule is named `iran`, at {first}:3:11 (rename one: alerts are told apart by it)",
        "2.yaml:2:40: there is no channel `dsk` (did you mean `desk`?)",
        "2.yaml:2:53: `owner` is not a text: 7 (put it in quotes)",
    ]


@pytest.mark.parametrize("channels", ["[https://hooks.slack.com/hunter2]", "https://hooks.slack.com/hunter2"])
def test_an_address_in_the_place_of_a_channel_is_not_repeated(write: Write, channels: str) -> None:
    path = write(f"rules:\n  - {{name: a, when: oil, channels: {channels}}}\n")
    (problem,) = refused(path, channels=["desk"])
    assert problem.line == 2
    assert "hunter2" not in str(problem)


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
        ("channels: {desk: {type: stdout}}\ndata_dir: x\n", (1, 1), "this is no rule file"),
        ("rules: []\n", (1, 8), "there is no list of rules here"),
        ("rules:\n  - oil\n", (2, 5), "this is not a rule"),
        ("rules:\n  -\n  - {name: a, when: oil, channels: [desk]}\n", (2, 4), "this is not a rule"),
        (
            "rules:\n  - {name: a, when: 2024, channels: [desk]}\n",
            (2, 21),
            "`when` is not a text: 2024",
        ),
        (
            "rules:\n  - {name: a, when: oil, channels: desk}\n",
            (2, 36),
            "`channels` is not a list: 'desk'",
        ),
        ("rules:\n  - {name: a, when: oil, channels: [desk, desk]}\n", (2, 36), "`channels`: `desk` stands twice"),
        (
            "rules:\n  - {name: a, when: oil, channels: [desk], title: ''}\n",
            (2, 51),
            "`title`: a title is one line of up to 200",
        ),
        (
            "rules:\n  - {name: a, name: b, when: oil, channels: [desk]}\n",
            (2, 15),
            "`name` stands twice, first on line 2",
        ),
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


def test_reads_when_a_rule_fires(write: Write) -> None:
    text = "rules: [{name: a, when: oil, channels: [x], story: updates, expiry: 2026-12-31, stage: staged}]"
    (rule,) = load_rules([write(text)]).rules
    assert (rule.story, rule.expiry, rule.stage) == ("updates", date(2026, 12, 31), "staged")
    problems = refused(write("rules: [{name: a, when: oil, channels: [x], story: once, expiry: soon, stage: on}]"))
    assert [message.split(",")[0] for _, _, message in told(problems)] == [
        "`story` is 'first'",
        "`expiry` is no day: 'soon'",
        "`stage` is 'staged' or 'live'",
    ]


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("expiry: 31-12-2026", "`expiry` is no day: '31-12-2026'", "write it like 2026-12-31"),
        ("expiry: 2026", "`expiry` is no day: 2026", "write it like 2026-12-31"),
        ("expiry: 2026-12-31T10:00:00", "`expiry` is no day: 2026-12-31T10:00:00", "write it like 2026-12-31"),
        ("burst: {count: -1, within: 1h}", "`count` is 1 or more, not -1", ""),
    ],
)
def test_a_value_that_is_none_is_refused_in_plain_words(write: Write, given: str, message: str, hint: str) -> None:
    (problem,) = refused(write(f"rules: [{{name: a, when: oil, channels: [x], {given}}}]"))
    assert (problem.message, problem.hint) == (message, hint)


def test_lists_are_shared_by_the_rules_of_all_files(write: Write) -> None:
    lists = write('lists: {gulf: [oman, "strait of hormuz", emirat*]}', "lists.yaml")
    rules = write("rules: [{name: a, when: '@gulf AND oil', channels: [x]}]", "rules.yaml")
    (rule,) = load_rules([rules, lists]).rules
    assert str(rule.query) == '(oman OR "strait of hormuz" OR emirat*) AND oil'


def test_a_rule_changes_with_its_list(write: Write) -> None:
    text = "lists: {gulf: [oman, %s]}\nrules: [{name: a, when: '@gulf', channels: [x]}]"
    revisions = {load_rules([write(text % word)]).revision for word in ("iran", "qatar", "iran")}
    assert len(revisions) == 2


def test_mistakes_in_lists(write: Write) -> None:
    one = write("lists: {gulf: [oman], 'a b': [x], no: [], far: ['@gulf'], few: [7]}", "1.yaml")
    two = write("lists: {gulf: [iran]}\nrules: [{name: a, when: oil AND @gulff OR @few, channels: [x]}]", "2.yaml")
    assert [(p.file[-6:], p.line, p.column, p.message.split(", at")[0]) for p in refused(one, two)] == [
        ("1.yaml", 1, 23, "`a b` is no name for a list"),
        ("1.yaml", 1, 39, "`no`: write at least one word"),
        ("1.yaml", 1, 48, "`far`: `@gulf` is no word or phrase; a list holds no other lists"),
        ("1.yaml", 1, 65, "number 1 of `few` is not a text: 7"),
        ("2.yaml", 1, 9, "another list is named `gulf`"),
        ("2.yaml", 2, 33, "there is no list `@gulff`"),
    ]
    assert told(refused(write("lists: [oman]"))) == [(1, 8, "`lists` is not a mapping")]


def test_what_is_wrong_in_a_list_is_told_at_the_rule(write: Write) -> None:
    (problem,) = refused(write("lists: {odd: ['?']}\nrules: [{name: a, when: oil AND @odd, channels: [x]}]"))
    assert (problem.line, problem.column) == (2, 33)
    assert problem.message.startswith("in the list `@odd`")
