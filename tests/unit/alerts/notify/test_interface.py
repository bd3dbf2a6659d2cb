from __future__ import annotations

from collections.abc import Callable

import msgspec

from alerts.notify.interface import message_id
from streams.core.records import Alert


def test_a_message_of_one_alert_has_its_id_and_of_several_one_of_its_own(make_alert: Callable[..., Alert]) -> None:
    one = make_alert()
    two = msgspec.structs.replace(one, alert_id="al_two")
    assert message_id([one]) == one.alert_id
    assert message_id([one, two]) == message_id([one, two])
    assert len({message_id(alerts) for alerts in ([one], [two], [one, two], [two, one])}) == 4
