"""What the page makes of the lines of the access log, and of what it is told of the queue and the store."""

from __future__ import annotations

from collections import Counter

from api_gateway_app.page.history import POINTS, History
from api_gateway_app.page.orders import REMEMBERED, SHOWN, Orders
from api_gateway_app.page.traffic import MOST_ORDERS, LoggedOrder, Tally, Traffic, percentile

ORDER_ID = "3f2a9c1e-0000-4000-8000-000000000001"


def line(
    upstream: str, *, status: int = 200, milliseconds: int = 3, path: str = "/api", order: str = "null"
) -> bytes:
    """A line as haproxy.cfg writes it."""
    return (
        f'{{"time":"t","path":"{path}","query":"-","status":{status},"bytes":10,"duration_ms":{milliseconds},'
        f'"upstream":"{upstream}/replica1","ended":"--","order":{order},"user_agent":"a","request_id":"mine"}}'
    ).encode()


def order_line(order_id: str = ORDER_ID, outcome: str = "confirmed", milliseconds: int = 40) -> bytes:
    document = f'{{"id":"{order_id}","outcome":"{outcome}"}}'
    return line("api-gateway-app", milliseconds=milliseconds, order=document)


def taken(*lines: bytes) -> Tally:
    traffic = Traffic()
    traffic.note(list(lines))
    return traffic.take()


def test_requests_are_counted_by_where_they_go() -> None:
    tally = taken(
        line("inventory-app"),
        line("inventory-app", status=503),
        line("billing-app"),
        line("api-gateway-app", path="/docs"),
        line("public", status=401),
        order_line(),
        order_line(ORDER_ID.replace("1", "2"), "kept"),
    )
    assert tally.kinds == {"movies": 2, "failed": 1, "lookups": 1, "others": 2, "orders": 2, "kept": 1}
    assert tally.requests == 7


def test_the_page_itself_is_not_counted() -> None:
    tally = taken(line("feed", milliseconds=900_000), line("api-gateway-app", path="/page/1/app.js"))
    tally_of_home = taken(line("api-gateway-app", path="/"))
    assert (tally.requests, tally_of_home.requests) == (0, 0)


def test_what_the_lab_looks_for_is_not_counted() -> None:
    assert taken(line("inventory-app").replace(b"mine", b"the-lab")).requests == 0


def test_what_is_no_such_line_is_not_counted() -> None:
    assert taken(b"", b"{}", b'{"path":"/%22status%22:200"}', b"\xff\xfe").requests == 0


def test_what_was_taken_is_counted_once() -> None:
    traffic = Traffic()
    traffic.note([line("inventory-app")])
    assert traffic.take().requests == 1
    assert traffic.take().requests == 0


def test_a_flood_of_orders_is_counted_whole_and_told_in_part() -> None:
    tally = taken(*(order_line(f"{number:08x}") for number in range(MOST_ORDERS + 10)))
    assert tally.kinds["orders"] == MOST_ORDERS + 10
    assert len(tally.orders) == MOST_ORDERS


def test_an_order_has_its_request_and_both_of_its_times() -> None:
    [order] = taken(order_line(milliseconds=250)).orders
    assert (order.order_id, order.request_id, order.is_kept) == (ORDER_ID, "mine", False)
    assert round(order.ended_at - order.began_at, 3) == 0.25


def test_a_percentile_is_what_so_many_do_not_exceed() -> None:
    assert percentile(Counter(), 0.99) is None
    assert percentile(Counter({5: 1}), 0.99) == 5
    assert percentile(Counter({1: 98, 10: 1, 500: 1}), 0.99) == 10
    assert percentile(Counter({1: 97, 10: 1, 500: 2}), 0.99) == 500


def test_a_point_of_the_charts_covers_five_seconds() -> None:
    history = History(0.0)
    history.add(taken(*(line("inventory-app", milliseconds=7) for _ in range(10))))
    assert history.close_point(4.9, (1, 2, 3)) is None
    assert history.close_point(5.0, (1, 2, 3)) == [2.0, 7, 1, 2, 3]
    assert history.close_point(10.0, (None, None, 0)) == [0.0, None, None, None, 0]
    for number in range(3 * POINTS):
        history.close_point(15.0 + 5 * number, (0, 0, 0))
    assert len(history.points) == POINTS


def accepted(order_id: str = ORDER_ID, *, is_kept: bool = False, at: float = 100.0) -> LoggedOrder:
    return LoggedOrder(order_id, "mine", is_kept, at - 1, at)


def steps_of(orders: Orders, order_id: str = ORDER_ID) -> dict[str, float | None]:
    steps = orders.find(order_id)
    assert steps is not None
    return {name: at for name, at in steps.as_dict().items() if name not in {"id", "request_id"} and at}


def test_a_confirmed_order_leaves_the_queue_when_it_was_seen_empty_afterwards() -> None:
    orders = Orders()
    orders.accept(accepted())
    orders.queue_was_empty(99.0)
    assert steps_of(orders) == {"accepted": 99.0, "confirmed": 100.0}
    orders.queue_was_empty(101.0)
    orders.queue_was_empty(102.0)
    assert steps_of(orders)["left_queue"] == 101.0


def test_a_kept_order_is_handed_over_when_only_younger_ones_are_left() -> None:
    orders = Orders()
    orders.accept(accepted(is_kept=True))
    for oldest, at in ((99.0, 101.0), (None, 99.5), (100.0, 102.0)):
        orders.store_was_seen(oldest, at)
        orders.queue_was_empty(at)
        assert steps_of(orders) == {"accepted": 99.0, "kept": 100.0}
    orders.store_was_seen(100.5, 103.0)
    assert steps_of(orders)["handed_over"] == 103.0


def test_what_was_seen_after_the_order_was_stored_has_no_time() -> None:
    orders = Orders()
    orders.accept(accepted())
    orders.queue_was_empty(105.0)
    orders.was_stored(ORDER_ID, 100.2)
    assert steps_of(orders) == {"accepted": 99.0, "confirmed": 100.0, "stored": 100.2}


def test_an_order_that_comes_again_with_its_key_is_the_same() -> None:
    orders = Orders()
    orders.accept(accepted())
    orders.accept(accepted(at=500.0))
    assert steps_of(orders) == {"accepted": 99.0, "confirmed": 100.0}


def test_an_order_from_long_ago_can_be_followed_and_is_not_shown_to_others() -> None:
    orders = Orders()
    orders.was_stored(ORDER_ID, 50.0)
    assert steps_of(orders) == {"stored": 50.0}
    assert orders.newest() == []


def test_an_order_seen_in_the_table_before_its_line_of_the_log_gets_its_times() -> None:
    orders = Orders()
    orders.was_stored(ORDER_ID, 100.2)
    orders.accept(accepted())
    assert steps_of(orders) == {"accepted": 99.0, "confirmed": 100.0, "stored": 100.2}
    assert [steps.request_id for steps in orders.newest()] == ["mine"]


def test_an_order_from_long_ago_that_comes_again_with_its_key_stays_old() -> None:
    orders = Orders()
    orders.was_stored(ORDER_ID, 50.0)
    orders.accept(accepted())
    assert steps_of(orders) == {"stored": 50.0}


def test_only_the_recent_orders_are_remembered() -> None:
    orders = Orders()
    for number in range(REMEMBERED + 5):
        orders.accept(accepted(f"{number:08x}-rest"))
    assert orders.find("00000004") is None
    assert orders.find("00000005") is not None
    assert len(orders.newest()) == SHOWN
