from __future__ import annotations

from streams.backtest.report.typical import Typical, shown
from tests.unit.backtest.wire import decided, rule, stream


def of(*texts: str, size: int = 64) -> Typical:
    typical = Typical(size)
    for one in decided(stream(*enumerate(texts)), rule("oil", "oil OR tanker OR quota")):
        for alert in one.alerts:
            typical.add(alert)
    return typical


def test_those_that_share_most_words_come_first_and_each_set_of_words_once() -> None:
    typical = of("Oil quota cut", "Quota on fish", "Tanker with oil", "Oil quota kept", "Oil up", "Oil down")
    assert typical.words == {"oil": 5, "quota": 3, "tanker": 1}
    best = typical.best(3)
    assert best[0].words == {"oil", "quota"}
    assert len({one.words for one in best}) == 3


def test_the_sample_is_of_fixed_size_and_the_same_whatever_the_order() -> None:
    texts = [f"Oil of field {number}" for number in range(40)]
    assert len(of(*texts, size=5).best(40)) == 5
    one = of(*texts, size=5)
    other = Typical(5)
    for found in reversed(decided(stream(*enumerate(texts)), rule("oil", "oil"))):
        for alert in found.alerts:
            other.add(alert)
    assert {head.text for head in other.best(5)} == {head.text for head in one.best(5)}


def test_a_headline_is_cut_at_the_words_that_fired() -> None:
    [alert] = decided(stream((0, "Seized tanker: oil leaks")), rule("oil", "oil OR tanker"))[0].alerts
    assert shown(alert).pieces == (
        ("Seized ", False),
        ("tanker", True),
        (": ", False),
        ("oil", True),
        (" leaks", False),
    )
    assert shown(alert).text == "Seized tanker: oil leaks"
