"""Topics as data: what an analyst wrote about them in YAML, checked and compiled.

A taxonomy is a set of documents, one a topic. Each lists *entities* (names of people, companies, places,
with their aliases) and *words*, both in named groups; *conditions* over the groups, each with a weight;
conditions *against* the topic; phrases to *ignore*, within which a name means something else; and *tests*.
`docs/reference/taxonomy.md` explains every key. Reading the files is the caller's part; `compile_taxonomy`
takes what `document.parse` gave.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from streams.core.document import Document, Problem, RefusedError, check, did_you_mean
from streams.core.text import tokenize

#: A wildcard needs so many letters before its star: fewer name half the dictionary.
SHORTEST_WILDCARD = 3
#: A name or word has at least so many letters; a single letter stands in too many headlines.
SHORTEST_NAME = 2

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write an entity or word: its folded ``words``, and ``raw`` as the file has it, word by word.

    ``prefix`` says that the last word may go on ("acqui*"); ``cased`` that a headline must write it as
    ``raw`` does, unless the whole headline is in capitals.
    """

    words: tuple[str, ...]
    raw: tuple[str, ...]
    prefix: bool = False
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """What a condition asks for: a form of any of ``groups``, or an amount of money of at least ``money``."""

    groups: frozenset[str] = frozenset()
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that a headline may name. One of ``needs``, where there are any, must stand beside it."""

    name: str
    group: str
    forms: tuple[Form, ...]
    needs: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """Two items with at most ``within`` words between them, in this order where ``ordered``."""

    first: Item
    second: Item
    within: int
    ordered: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds with each of ``every``, one of ``some`` if there are any, none of ``none``, and every pair of ``near``."""

    name: str
    weight: float
    every: tuple[Item, ...] = ()
    some: tuple[Item, ...] = ()
    none: tuple[Item, ...] = ()
    near: tuple[Near, ...] = ()

    def required(self) -> tuple[frozenset[str], ...]:
        """Sets of groups, of each of which one must be in a headline for the condition to hold."""
        pairs = [item for near in self.near for item in (near.first, near.second)]
        needed = [item.groups for item in (*self.every, *pairs) if item.money is None]
        if self.some and all(item.money is None for item in self.some):
            needed.append(frozenset[str]().union(*(item.groups for item in self.some)))
        return tuple(needed)


@dataclass(frozen=True, slots=True)
class Example:
    """A headline of a topic's tests, whether it ``belongs`` to the topic, and its place in the file."""

    headline: str
    belongs: bool
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A compiled topic. ``ignored`` are the forms within which no name counts."""

    name: str
    title: str
    threshold: float
    entities: tuple[Entity, ...]
    ignored: tuple[Form, ...]
    conditions: tuple[Condition, ...]
    against: tuple[Condition, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Topics in the order of their names. ``revision`` is a hash of what the files say, in any order."""

    topics: tuple[Topic, ...]
    revision: str


def compile_taxonomy(documents: Iterable[Document]) -> Taxonomy:
    """Check and compile the topics of ``documents``, one a document.

    Raises:
        RefusedError: with every problem of every document.
    """
    topics: list[Topic] = []
    problems: list[Problem] = []
    contents: dict[str, Any] = {}
    for document in documents:
        compiler = _Compiler(document)
        topic = compiler.topic()
        if topic is not None and topic.name in contents:
            message = f"topic `{topic.name}` is in another file too"
            compiler.problems.append(document.problem(("topic",), message, "give one of them another name"))
        elif topic is not None:
            contents[topic.name] = document.data
            topics.append(topic)
        problems += compiler.problems
    if problems:
        raise RefusedError(problems)
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True, default=str).encode())
    return Taxonomy(tuple(sorted(topics, key=lambda topic: topic.name)), digest.hexdigest()[:16])


# The shape of a document. Entities and items come in several forms, which the compiler tells apart.


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _EntityText(_Strict):
    name: StrictStr
    aliases: list[StrictStr] = []
    case: bool = False
    needs: list[Any] = []


class _NearText(_Strict):
    of: list[Any] = Field(min_length=2, max_length=2)
    within: int = Field(ge=0, le=50)
    ordered: bool = False


class _ConditionText(_Strict):
    name: StrictStr
    weight: float = Field(1.0, gt=0, le=1)
    every: list[Any] = Field([], alias="all")
    some: list[Any] = Field([], alias="any")
    none: list[Any] = []
    near: Any = None


class _TestsText(_Strict):
    match: list[StrictStr] = []
    no_match: list[StrictStr] = []


class _TopicText(_Strict):
    topic: str = Field(pattern="^[a-z][a-z0-9_]*$")
    title: StrictStr
    description: StrictStr = ""
    threshold: float = Field(0.5, gt=0, le=1)
    entities: dict[str, list[Any]] = {}
    words: dict[str, list[StrictStr]] = {}
    ignore: list[StrictStr] = []
    conditions: list[_ConditionText] = Field(min_length=1)
    against: list[_ConditionText] = []
    tests: _TestsText = _TestsText()


@dataclass(slots=True)
class _Compiler:
    """Compiles one document, and gathers all that is wrong with it."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    entities: list[Entity] = field(default_factory=list)

    def topic(self) -> Topic | None:
        """The topic, or None where the shape of the document is wrong. Check ``problems`` in either case."""
        shape, problems = check(self.document, _TopicText)
        self.problems = [*self.document.problems, *problems]
        if shape is None:
            return None
        self._name_groups(shape)
        for group, members in shape.entities.items():
            self._add_entities(group, members)
        for group, words in shape.words.items():
            self._add_words(group, words, ("words", group))
        ignored = [
            form for at, text in enumerate(shape.ignore) if (form := self._form(text, ("ignore", at), cased=False))
        ]
        conditions = tuple(self._conditions("conditions", shape.conditions))
        against = tuple(self._conditions("against", shape.against))
        if not self.problems:  # a misspelt name would be told a second time, as a group without a use
            self._find_unused(shape)
        return Topic(
            name=shape.topic,
            title=shape.title,
            threshold=shape.threshold,
            entities=tuple(self.entities),
            ignored=tuple(ignored),
            conditions=conditions,
            against=against,
            examples=tuple(self._examples(shape.tests)),
        )

    def _complain(self, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def _name_groups(self, shape: _TopicText) -> None:
        self.groups = {*shape.entities, *shape.words}
        for twice in sorted(shape.entities.keys() & shape.words.keys()):
            message = f"`{twice}` is a group of entities already"
            self._complain(("words", twice), message, "give one of them another name")

    def _find_unused(self, shape: _TopicText) -> None:
        for section, groups in (("entities", shape.entities), ("words", shape.words)):
            for group in groups.keys() - self.used:
                message = f"no condition asks for `{group}`"
                place = (section, group)
                self.problems.append(self.document.problem(place, message, "use it, or take it out", key=True))

    def _add_entities(self, group: str, members: Sequence[Any]) -> None:
        seen: dict[tuple[object, ...], str] = {}
        for index, value in enumerate(members):
            path: Path = ("entities", group, index)
            member = self._entity_text(value, path)
            if member is None:
                continue
            forms: list[Form] = []
            for alias_path, text in _spellings(path, member):
                form = self._form(text, alias_path, cased=member.case)
                if form is None:
                    continue
                key = (form.words, form.prefix, form.raw if form.cased else None)
                if key in seen:
                    message = f"`{text}` stands in `{group}` already, under `{seen[key]}`"
                    hint = "keep one of them; accents and hyphens make no difference"
                    self._complain(alias_path, message, hint)
                seen.setdefault(key, member.name)
                forms.append(form)
            needs = self._items(member.needs, (*path, "needs"))
            self.entities.append(Entity(member.name, group, tuple(forms), needs))

    def _entity_text(self, value: Any, path: Path) -> _EntityText | None:
        if isinstance(value, str):
            return _EntityText(name=value)
        if isinstance(value, dict):
            member, problems = check(self.document, _EntityText, path)
            self.problems += problems
            return member
        hint = "quote a name that YAML takes for a number or a yes"
        self._complain(path, f"{value!r} is not an entity: write a name, or a mapping with `name:`", hint)
        return None

    def _add_words(self, group: str, words: Sequence[str], path: Path) -> None:
        seen: set[tuple[tuple[str, ...], bool]] = set()
        for index, text in enumerate(words):
            form = self._form(text, (*path, index), cased=False)
            if form is None:
                continue
            if (form.words, form.prefix) in seen:
                self._complain((*path, index), f"`{text}` is listed twice", "keep one of them")
            seen.add((form.words, form.prefix))
            self.entities.append(Entity(text, group, (form,)))

    def _form(self, text: str, path: Path, *, cased: bool) -> Form | None:
        prefix = text.strip().endswith("*")
        body = text.strip().removesuffix("*")
        if not text.strip():
            self._complain(path, "empty name", "write a name, or take the line out")
            return None
        if "*" in body:
            self._complain(path, f"`{text}`: a star may only end the last word", "write the words out")
            return None
        tokens = tokenize(body)
        if not tokens:
            self._complain(path, f"`{text}` has no letter or digit to search for", "write a word")
            return None
        letters = sum(len(token.word) for token in tokens)
        shortest = SHORTEST_WILDCARD if prefix else SHORTEST_NAME
        if letters < shortest:
            what = "letters before its star" if prefix else "letters"
            self._complain(path, f"`{text}` needs at least {shortest} {what}", "write more of the word")
            return None
        words = tuple(token.word for token in tokens)
        return Form(words, tuple(body[token.start : token.end] for token in tokens), prefix, cased)

    def _conditions(self, section: str, texts: Sequence[_ConditionText]) -> Iterator[Condition]:
        names: set[str] = set()
        for index, text in enumerate(texts):
            path: Path = (section, index)
            if text.name in names:
                message = f"two of `{section}` are named `{text.name}`"
                self._complain((*path, "name"), message, "name them apart")
            names.add(text.name)
            known = len(self.problems)
            condition = self._condition(text, path)
            if len(self.problems) == known and not condition.required():
                message = f"`{text.name}` asks for no group or word that must be there"
                hint = "add an item to `all:`, `any:` or `near:`; money alone is too broad"
                self._complain(path, message, hint)
            yield condition

    def _condition(self, text: _ConditionText, path: Path) -> Condition:
        return Condition(
            name=text.name,
            weight=text.weight,
            every=self._items(text.every, (*path, "all")),
            some=self._items(text.some, (*path, "any")),
            none=self._items(text.none, (*path, "none")),
            near=tuple(self._nears(text.near, (*path, "near"))),
        )

    def _nears(self, value: Any, path: Path) -> Iterator[Near]:
        """What stands at ``near``: one pair, or a list of pairs, each of which is to be there."""
        if value is None:
            return
        places = [(*path, index) for index in range(len(value))] if isinstance(value, list) else [path]
        for place in places:
            text, problems = check(self.document, _NearText, place)
            self.problems += problems
            pair = self._items(text.of, (*place, "of")) if text else ()
            if text and len(pair) == 2:
                yield Near(*pair, text.within, text.ordered)

    def _items(self, values: Sequence[Any], path: Path) -> tuple[Item, ...]:
        items = [self._item(value, (*path, index)) for index, value in enumerate(values)]
        return tuple(item for item in items if item is not None)

    def _item(self, value: Any, path: Path) -> Item | None:
        match value:
            case str() if value in self.groups:
                self.used.add(value)
                return Item(frozenset([value]))
            case str():
                hint = did_you_mean(value, self.groups) or "write a word as `{words: [...]}`"
                self._complain(path, f"no group `{value}`", hint)
            case {"words": [_, *_] as words, **rest} if not rest and all(isinstance(word, str) for word in words):
                group = "words at " + "/".join(map(str, path))
                self._add_words(group, words, (*path, "words"))
                return Item(frozenset([group]))
            case {"money": int() | float() as least, **rest} if not rest and not isinstance(least, bool):
                return Item(money=float(least))
            case [_, *_]:
                parts = [self._item(part, (*path, index)) for index, part in enumerate(value)]
                known = [part for part in parts if part is not None]
                amounts = [part.money for part in known if part.money is not None]
                groups = frozenset[str]().union(*(part.groups for part in known))
                return Item(groups, min(amounts, default=None))
            case _:
                hint = "write a group's name, `{words: [...]}`, `{money: 1000000}`, or a list of these"
                self._complain(path, f"{value!r} is not an item of a condition", hint)
        return None

    def _examples(self, tests: _TestsText) -> Iterator[Example]:
        for key, headlines, belongs in (("match", tests.match, True), ("no_match", tests.no_match, False)):
            for index, headline in enumerate(headlines):
                place = self.document.problem(("tests", key, index), "")
                yield Example(headline, belongs, self.document.file, place.line, place.column)


def _spellings(path: Path, member: _EntityText) -> Iterator[tuple[Path, str]]:
    yield (*path, "name"), member.name
    for index, alias in enumerate(member.aliases):
        yield (*path, "aliases", index), alias
