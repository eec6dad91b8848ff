"""Orders with an idempotency key at two gateways, each with a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_gateway_app.orders.delivery import Outcome
from api_gateway_app.orders.desk import OrderDesk
from api_gateway_app.orders.message import OrderMessage
from api_gateway_app.orders.store import OrderStore
from platform_common.orders import Order, parse_order
from platform_common.problems import Problem

ORDER = parse_order({"user_id": "20", "number_of_items": 3, "total_amount": "30.00"})
OTHER = parse_order({"user_id": "20", "number_of_items": 4, "total_amount": "30.00"})
OF_ANOTHER_USER = parse_order({"user_id": "21", "number_of_items": 3, "total_amount": "30.00"})


class Broker:
    """Has the same answer to every order."""

    def __init__(self, outcome: Outcome = Outcome.CONFIRMED) -> None:
        self._outcome = outcome

    def deliver(self, _message: OrderMessage) -> Outcome:
        return self._outcome


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[list[OrderDesk]]:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    stores = [OrderStore(folder) for folder in folders]
    yield [OrderDesk(Broker(), store) for store in stores]  # type: ignore[arg-type]
    for store in stores:
        store.close()


def accept(desk: OrderDesk, order: Order, key: str | None) -> str:
    return desk.accept(order, idempotency_key=key, request_id="r").order_id


def test_the_same_order_under_one_key_has_one_id_at_all_gateways(desks: list[OrderDesk]) -> None:
    assert len({accept(desk, ORDER, "key") for desk in (*desks, *desks)}) == 1


def test_another_user_key_or_order_has_another_id(desks: list[OrderDesk]) -> None:
    first, second = desks
    assert len({
        accept(first, ORDER, "key"),
        accept(first, ORDER, "other key"),
        accept(first, OF_ANOTHER_USER, "key"),
        accept(second, OTHER, "key"),
        accept(first, ORDER, None),
        accept(first, ORDER, None),
    }) == 6  # fmt: skip


def test_another_order_under_a_key_is_refused_by_the_gateway_that_knows_the_first(
    desks: list[OrderDesk],
) -> None:
    accept(desks[0], ORDER, "key")
    with pytest.raises(Problem) as refused:
        accept(desks[0], OTHER, "key")
    assert refused.value.status == 422


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.CONFIRMED])
def test_what_the_broker_does_not_confirm_is_kept_or_refused(tmp_path: Path, outcome: Outcome) -> None:
    store = OrderStore(tmp_path)
    broker = Broker(outcome)
    assert OrderDesk(broker, store).accept(ORDER, idempotency_key=None, request_id="r").is_kept  # type: ignore[arg-type]
    with pytest.raises(Problem) as refused:
        accept(OrderDesk(broker, store, keeps=False), ORDER, "key")  # type: ignore[arg-type]
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "5")
    assert len(store.oldest(10)) == 1
    store.close()
