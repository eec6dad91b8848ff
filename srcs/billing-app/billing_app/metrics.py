"""What the consumer counts."""

from __future__ import annotations

from typing import Final

from platform_common.metrics import Counter, Gauge, Histogram

CONSUMED: Final = Counter("billing_messages_consumed_total", "Messages taken from the queue.")
STORED: Final = Counter("billing_orders_stored_total", "Orders stored in the database.")
REPEATED: Final = Counter("billing_orders_repeated_total", "Orders that were stored already.")
DEAD_LETTERED: Final = Counter(
    "billing_messages_dead_lettered_total", "Messages moved to the dead letters.", ["reason_code"]
)
BATCH_SIZE: Final = Histogram(
    "billing_batch_orders", "Orders in one transaction.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)
LAST_ROUND: Final = Gauge(
    "billing_consumer_last_round_timestamp_seconds",
    "When the consumer last did its round; its age is time() minus this.",
    multiprocess_mode="max",
)
