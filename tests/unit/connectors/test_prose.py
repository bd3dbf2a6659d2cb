from __future__ import annotations

import pytest

from connectors.prose import is_running_text, may_be_headline, paragraphs


@pytest.mark.parametrize(
    ("line", "may"),
    [
        ("Tanker held off Malta", True),
        ("\u2022 Tanker held off Malta", True),
        ("Tanker held off Malta after a long chase.", True),
        ("\u592e\u884c\u7ef4\u6301\u5229\u7387", True),
        ("Dhuhr", False),
        ("Home News", False),
        ("Read more about it", False),
        ("This website uses cookies to give you a good experience", False),
        ("By: Ann Writer", False),
        ("Monday 02 June 2025 - 11:34", False),
        ("The mayor opened the lock on Monday, ten years after the first stone was laid on the quay.", False),
        ("word " * 80, False),
    ],
)
def test_headlines_are_told_from_what_stands_around_them(line: str, may: bool) -> None:
    assert may_be_headline(line.strip()) is may


def test_paragraphs_are_long_sentences_and_lines_that_go_on() -> None:
    long = "The mayor opened the lock on Monday, ten years after the first stone was laid on the quay."
    broken = [
        "Ships of up to 12,000 tonnes can pass the lock from Tuesday on, the",
        "port said. The work cost 300 million.",
    ]
    assert list(paragraphs(["Lock opens", "", long, *broken, "", "Ferry resumes"])) == [(long,), tuple(broken)]


def test_a_list_in_small_letters_is_no_running_text() -> None:
    listed = ["tanker held off malta after a long chase through the whole night", "bank holds rates", "port reopens"]
    assert not is_running_text(listed)
    assert is_running_text([line.capitalize() if n == 0 else line for n, line in enumerate(listed[:2])] * 2)
