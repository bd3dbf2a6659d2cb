"""The figures of a headline, and whether two headlines can both be right about them.

"Nearly $70bn" and "$68.7bn" are one figure told twice, "17 killed" and "13 killed" are not, and "13%" and "11,000 staff"
do not meet at all. So a figure has a *kind* and a *unit*, in which it is comparable, a value, and the slack that its
writing leaves: half a unit of its last digit where it is rounded, five per cent where the headline says "about".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.core.story.vocabulary import listed

#: What can be compared with what. ``label`` numbers one of a series ("Episode 5"), ``score`` is that of a match.
KINDS: Final = ("count", "money", "percent", "temperature", "age", "ordinal", "date", "year", "score", "label")

_WORDS: Final = {
    word: value
    for value, word in enumerate(
        listed(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen seventeen eighteen nineteen twenty"
        )
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "dozen": 12}
_ONES: Final = {word: value for word, value in _WORDS.items() if 1 <= value <= 9}
_ORDINALS: Final = {
    word: value
    for value, word in enumerate(
        listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
        start=1,
    )
}
#: From how many on words count that count by magnitudes, and to how many.
_MAGNITUDES: Final = {
    "tens": (20, 110), "dozens": (12, 110), "hundreds": (100, 1e3), "thousands": (1e3, 1e4), "millions": (1e6, 1e7),
    "tens of thousands": (1e4, 1e5), "hundreds of thousands": (1e5, 1e6),
    "tens of millions": (1e7, 1e8), "hundreds of millions": (1e8, 1e9),
}  # fmt: skip
_QUARTERS: Final = {
    f"{letter}{number}": number for letter, last in (("q", 4), ("h", 2)) for number in range(1, last + 1)
}
#: Every word that spells a number.
SPELLED: Final = (
    frozenset(_WORDS)
    | frozenset(_ORDINALS)
    | frozenset(_QUARTERS)
    | frozenset(listed("dozens hundreds thousands tens millions"))
)
_NUMBERS: Final = SPELLED | frozenset(_MAGNITUDES)
_MONTHS: Final = {
    name: month
    for month, names in enumerate(
        listed("jan,january feb,february mar,march apr,april may jun,june jul,july aug,august sep,sept,september")
        + listed("oct,october nov,november dec,december"),
        start=1,
    )
    for name in names.split(",")
}
_SCALES: Final = {
    "k": 1e3, "thousand": 1e3, "lakh": 1e5,
    "m": 1e6, "mn": 1e6, "mln": 1e6, "million": 1e6, "cr": 1e7, "crore": 1e7,
    "b": 1e9, "bn": 1e9, "bln": 1e9, "billion": 1e9,
    "t": 1e12, "tn": 1e12, "trn": 1e12, "trillion": 1e12,
}  # fmt: skip
#: Those that follow a number in words.
_SPELLED_SCALES: Final = {word: scale for word, scale in _SCALES.items() if len(word) > 2} | {
    "hundred": 100,
    "dozen": 12,
}
_CURRENCIES: Final = {
    "$": "usd", "us$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd",
    "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur",
    "£": "gbp", "gbp": "gbp", "pound": "gbp", "pounds": "gbp", "sterling": "gbp",
    "¥": "yen", "yen": "yen", "yuan": "yuan", "rmb": "yuan",
    "₹": "inr", "rs": "inr", "rs.": "inr", "rupee": "inr", "rupees": "inr",
    "₽": "rub", "ruble": "rub", "rubles": "rub", "rouble": "rub", "roubles": "rub",
}  # fmt: skip
#: Words that give a count its sense, wherever they stand beside it: "kills 24" and "24 dead" count the same.
_ROLES: Final = {
    word: role
    for role, words in {
        "dead": "dead death deaths die died dies dying kill killed killing kills toll fatalities bodies slain perish lives",
        "hurt": "hurt injured injures injures injuries injuring wounded wounding wounds casualties hospitalised hospitalized",
        "missing": "missing unaccounted trapped stranded",
        "held": "arrested arrests detained detains held charged",
    }.items()
    for word in words.split()
}
_PEOPLE: Final = frozenset(
    listed("people persons person men women children migrants civilians soldiers victims others")
)
_POINTS: Final = (["basis", "points"], ["basis", "point"])
#: Nations whose dollars are not those of the United States.
_OTHER_DOLLARS: Final = {
    "australian": "a$", "canadian": "c$", "singapore": "s$", "hong": "hk$", "zealand": "nz$",
}  # fmt: skip
#: What stands before a hyphen and a number without making one name with it, as in "mid-90s" and "under-19".
_PREFIXES: Final = frozenset(listed("mid pre post sub non top under over inter trans"))
#: Words before a number that make it the number of one thing in a series.
_SERIES: Final = frozenset(
    listed(
        "act beta book chapter day edition episode flight formula game grade group highway interstate issue "
        "lap level matchday no number part phase pillar quarter route round season section series stage step "
        "test title version vol volume week wordle"
    )
)
_ABOUT: Final = frozenset(
    listed("about almost approximately around circa close estimated nearly over roughly some than up upwards")
)
_SKIPPED: Final = frozenset(listed("a an the of in at on to for new more other additional such extra another"))

# Begins with a digit, so that a text is searched fast; what stands before it is looked at where one is found.
_FIGURE = re.compile(
    r"""
    (?P<number>\d+(?:,\d+)*(?:\.\d+)?)
    (?:
        (?P<score>\s?[-\u2013]\s?(?P<other>\d{1,3})(?![\w%,.]|-(?:year|day|month|week)))
      | (?P<ordinal>st|nd|rd|th)\b
      | (?P<degrees>\s?(?:°\s?|degrees?\s)?(?P<scale_of>[cf]|celsius|fahrenheit)\b|\s?°|\sdegrees?\b)
      | (?:[\s-]?(?P<scale>k|thousand|lakh|mn|mln|million|m|cr|crore|bn|bln|billion|b|tn|trn|trillion|t)\b)?
        (?P<percent>\s?%|\s?(?:pct|percent|per\ cent|pc)\b)?
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CURRENCY = re.compile(r"((?:\b(?:us|au|ca|hk|nz|[acs]))?[$€£¥₹₽]|\b(?:usd|eur|gbp|rs)\.?)\s?$", re.IGNORECASE)
_CURRENCY_WORD = re.compile(r"\b(?:usd|eur|gbp|rs)$", re.IGNORECASE)
_SIGNS: Final = "$€£¥₹₽"
_MINUS: Final = "-\u2212\u2013"
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)?|[;:]")
#: A word that may spell a number, if it is one of `SPELLED`: "two", "thirty-two", "Q2".
_PLAIN_WORD = re.compile(
    rf"(?<![\w-])(?P<word>(?:tens|hundreds) of (?:thousands|millions)|[A-Za-z][A-Za-z0-9]*)"
    rf"(?:(?<=ty)-(?P<ones>{'|'.join(_ONES)}))?(?!\w)",
    re.IGNORECASE,
)


class Figure(NamedTuple):
    """A figure: ``value`` give or take ``slack``, comparable with those of the same ``kind`` and ``unit``.

    ``unit`` is the currency, what is counted, or the series, in folded words; empty where the headline does not say.
    The figure was read from ``text[start:end]``.
    """

    kind: str
    value: float
    slack: float
    unit: str
    start: int
    end: int


class Comparison(NamedTuple):
    """What two headlines' figures say of each other.

    ``agreed`` figures are told by both; ``conflicts`` are pairs of one kind and unit that cannot both be right;
    ``doubtful`` are pairs of one kind that may count different things; ``single`` figures are told by one side only.
    """

    agreed: int
    conflicts: tuple[tuple[Figure, Figure], ...]
    doubtful: tuple[tuple[Figure, Figure], ...]
    single: int


def read_figures(text: str) -> tuple[Figure, ...]:
    """The figures of a cleaned ``text``, in figures and in words, in order."""
    found = [_numeric(text, match) for match in _FIGURE.finditer(text) if _stands_alone(text, match.start())]
    lowered = text.lower()
    if not SPELLED.isdisjoint(lowered.replace("-", " ").split()):
        found += [_spelled(text, match) for match in _PLAIN_WORD.finditer(text) if match["word"].lower() in _NUMBERS]
    return tuple(sorted([figure for figure in found if figure], key=lambda figure: figure.start))


def _stands_alone(text: str, start: int) -> bool:
    """Whether a number is not the end of a word ("F16", but "Rs500") or of a longer number."""
    before = text[start - 1 : start] if start else ""
    if before == ".":
        return not text[start - 2 : start - 1].isdigit()
    if before.isalpha():
        return bool(_CURRENCY_WORD.search(text, max(0, start - 4), start))
    return not before.isdigit() and before not in ("_", ",")


def compare(ours: Sequence[Figure], theirs: Sequence[Figure]) -> Comparison:
    """Pair off the figures that agree, then look which of the others contradict each other."""
    if not ours or not theirs:
        return Comparison(0, (), (), len(ours) + len(theirs))
    left, right = list(ours), list(theirs)
    agreed = 0
    for one in ours:
        other = next((other for other in right if _agree(one, other)), None)
        if other is not None:
            left.remove(one)
            right.remove(other)
            agreed += 1
    conflicts: list[tuple[Figure, Figure]] = []
    doubtful: list[tuple[Figure, Figure]] = []
    for one in left:
        for other in right:
            if one.kind != other.kind:
                continue
            (conflicts if _same_unit(one, other) else doubtful).append((one, other))
    met = {id(figure) for pair in conflicts + doubtful for figure in pair}
    single = sum(id(figure) not in met for figure in left + right)
    return Comparison(agreed, tuple(conflicts), tuple(doubtful), single)


def _agree(one: Figure, other: Figure) -> bool:
    if one.kind != other.kind and {one.kind, other.kind} != {"count", "age"}:
        return False
    if one.unit != other.unit and one.kind in ("money", "label"):
        return False
    return _close(one, other)


def _close(one: Figure, other: Figure) -> bool:
    # A hair more than the slack, for halves that binary fractions cannot hold.
    return abs(one.value - other.value) <= max(one.slack, other.slack) * 1.0001 + 1e-9


def _same_unit(one: Figure, other: Figure) -> bool:
    if one.kind == "count":
        return one.unit == other.unit or (not one.unit or not other.unit)
    if one.kind == "money" and one.unit != other.unit:
        # Told in two currencies the figures differ; if they do not, one of the currencies is wrong. Dollars are written
        # without their nation at home.
        return _close(one, other) and not (_dollars(one) and _dollars(other))
    return one.unit == other.unit if one.kind in ("money", "label") else True


def _dollars(figure: Figure) -> bool:
    return figure.unit.endswith("$") or figure.unit == "usd"


def _numeric(text: str, match: re.Match[str]) -> Figure | None:
    """A figure written in digits."""
    start, end = match.span()
    digits = match["number"].replace(",", "")
    value = float(digits)
    before, after = _words_before(text, start), _words_after(text, end)
    if match["score"]:
        return _range_or_score(value, float(match["other"]), match, start, end)
    if match["ordinal"]:
        day = _month(before[-1:] or after[:1])
        return (
            Figure("date", day * 100 + value, 0, "", start, end) if day else Figure("ordinal", value, 0, "", start, end)
        )
    if match["degrees"]:
        return _temperature(value, match)
    scale = _SCALES.get((match["scale"] or "").lower(), 1.0)
    slack = _slack(digits, scale, approximate=bool(_ABOUT.intersection(before[-3:])))
    if match["percent"]:
        return Figure("percent", value * scale, slack, "", start, end)
    if after[:2] in _POINTS or after[:1] in (["bp"], ["bps"]):
        return Figure("percent", value / 100, 0, "", start, end)
    if after[:2] in (["percentage", "points"], ["percentage", "point"]):
        return Figure("percent", value, slack, "", start, end)
    if currency := _currency(text, start, after):
        return Figure("money", value * scale, slack * scale, currency, start, end)
    return _plain(value * scale, slack * scale, before, after, match)


def _plain(value: float, slack: float, before: list[str], after: list[str], match: re.Match[str]) -> Figure:
    """A bare number: a date, year, age, number in a series, or a count."""
    start, end = match.start(), match.end()
    whole = not match["scale"] and "," not in match["number"] and "." not in match["number"]
    if whole and 1 <= value <= 31 and (month := _month(before[-1:]) or _month(after[:1])):
        return Figure("date", month * 100 + value, 0, "", start, end)
    if whole and 1900 <= value < 2100:
        return Figure("year", value, 0, "", start, end)
    if whole and (name := _hyphenated(match.string, start)):
        return Figure("label", value, 0, name, start, end)
    if whole and value < 120 and _tells_age(before, after, match):
        return Figure("age", value, 0, "", start, end)
    if whole and before and (before[-1] in _SERIES or match.string[: match.start()].endswith("#")):
        return Figure("label", value, 0, before[-1], start, end)
    return Figure("count", value, slack, _unit(before, after), start, end)


def _hyphenated(text: str, start: int) -> str:
    """The name that a number is part of, behind a hyphen: "F-16", "Covid-19"."""
    if not start or text[start - 1] != "-":
        return ""
    words = _WORD.findall(text[max(0, start - 12) : start - 1])
    name = words[-1] if words and text[start - 2].isalpha() else ""
    return name.lower() if name[:1].isupper() and name.lower() not in _PREFIXES else ""


def _tells_age(before: list[str], after: list[str], match: re.Match[str]) -> bool:
    if before[-1:] in (["aged"], ["age"]) or after[:2] == ["year", "old"] or after[:2] == ["years", "old"]:
        return True
    set_off = match.string[: match.start()].endswith(", ")
    closed = match.string[match.end() : match.end() + 1]
    return (set_off and (closed in (",", "") or after[:1] == ["of"])) or (before[-1:] == ["at"] and not after)


def _spelled(text: str, match: re.Match[str]) -> Figure | None:
    """A figure written as a word: "seven charged", "third week". Fractions and set phrases are none."""
    word = match["word"].lower()
    before, after = _words_before(text, match.start()), _words_after(text, match.end())
    start, end = match.span()
    if word in _MAGNITUDES:
        least, most = _MAGNITUDES[word]
        return Figure("count", (least + most) / 2, (most - least) / 2, _unit(before, after), start, end)
    if word in _QUARTERS:
        return Figure("label", _QUARTERS[word], 0, word[0], start, end)
    if word in _ORDINALS:
        fraction = before[-1:] in (["a"], ["one"], ["two"], ["at"]) or after[:1] in (["of"], ["thing"], ["look"])
        return None if fraction else Figure("ordinal", _ORDINALS[word], 0, "", start, end)
    value = float(_WORDS[word] + _ONES.get((match["ones"] or "").lower(), 0))
    if word == "dozen" and before[-1:] and before[-1] in _WORDS:
        return None  # told by the word before it
    if word == "one" and not (after and (after[0] in _ROLES or after[0] in _PEOPLE)):
        return None
    if after[:2] in (["year", "old"], ["years", "old"]):
        return Figure("age", value, 0, "", start, end)
    scale = _SPELLED_SCALES.get(after[0], 0) if after else 0
    return Figure("count", value * (scale or 1), 0, _unit(before, after[1:] if scale else after), start, end)


def _range_or_score(one: float, other: float, match: re.Match[str], start: int, end: int) -> Figure | None:
    """ "4-1" is a score; "2022-23" a season, which counts as a year."""
    if 1900 <= one < 2100:
        return Figure("year", one, 0, "", start, end)
    if "." in match["number"] or one > 199:
        return None
    return Figure("score", one * 1000 + other, 0, "", start, end)


def _temperature(value: float, match: re.Match[str]) -> Figure:
    """Degrees, in Celsius. Nobody converts more exactly than to a degree."""
    start, end = match.span()
    before = match.string[:start]
    minus = before[-1:] in _MINUS and not before[-2:-1].isalnum() if before else False
    minus = minus or before.lower().endswith("minus ")
    signed = -value if minus else value
    fahrenheit = (match["scale_of"] or "").lower().startswith("f")
    return Figure("temperature", (signed - 32) / 1.8 if fahrenheit else signed, 0.7, "", start, end)


def _slack(digits: str, scale: float, *, approximate: bool) -> float:
    """What the writing of a number leaves open, in units of its scale.

    Small whole numbers are exact: a toll of 20 is not one of 21. From a thousand on, and with a scale, zeros at the
    end and missing decimals are rounding, but by no more than three per cent, and one where all digits are written out.
    """
    whole, _, decimals = digits.partition(".")
    value = float(digits)
    if decimals:
        slack = 0.5 * 10.0 ** -len(decimals) if scale > 1 else 0.0
    elif value * scale < 1000:
        slack = 0.0
    else:
        zeros = len(whole) - len(whole.rstrip("0"))
        slack = min(0.5 * 10.0**zeros, (0.03 if scale > 1 else 0.01) * value)
    return max(slack, 0.05 * value) if approximate else slack


def _currency(text: str, start: int, after: list[str]) -> str:
    """The currency before a number, or else the one named after it."""
    if start and (text[start - 1] in _SIGNS or text[start - 1] in " ." or text[start - 1].isalpha()):
        found = _CURRENCY.search(text, max(0, start - 6), start)
        if found:
            written = found[1].lower().rstrip(".")
            return _CURRENCIES.get(written) or (
                written if written.endswith("$") else _CURRENCIES.get(written[-1], written)
            )
    if after[1:2] in (["dollar"], ["dollars"]):
        return _OTHER_DOLLARS.get(after[0], "usd" if after[0] in ("us", "american") else "")
    if after[2:3] == ["dollars"]:
        return _OTHER_DOLLARS.get(after[0] if after[0] == "hong" else after[1], "")
    return _CURRENCIES.get(after[0], "") if after else ""


def _unit(before: list[str], after: list[str]) -> str:
    """What is counted: the sense that a word beside the figure gives it, or else the next word."""
    for word in after[:4]:
        if word in _ROLES:
            return _ROLES[word]
        if word in (";", ":") or word.isdigit():
            break
    for word in reversed(before[-4:]):
        if word in _ROLES:
            return _ROLES[word]
        if word in (";", ":") or word.isdigit():
            break
    noun = next((word for word in after[:3] if word not in _SKIPPED and word not in _PEOPLE), "")
    return noun.removesuffix("s")


def _month(words: list[str]) -> int:
    return _MONTHS.get(words[0], 0) if words else 0


def _words_before(text: str, end: int) -> list[str]:
    return _WORD.findall(text[max(0, end - 40) : end].lower().partition(" ")[2] if end > 40 else text[:end].lower())


def _words_after(text: str, start: int) -> list[str]:
    return _WORD.findall(text[start : start + 40].lower())
