"""What the gateway counts, over all its worker processes."""

from __future__ import annotations

# First: it prepares the directory that prometheus_client wants to find when it is imported.
import platform_common.metrics  # noqa: F401  # isort: skip

from typing import Final

from prometheus_client import Counter, Gauge

ORDERS_PUBLISHED: Final = Counter(
    "orders_published_total", "New orders given to the broker, by what became of them.", ["outcome"]
)
ORDERS_STORED: Final = Counter(
    "orders_stored_total", "Orders kept on disk because the broker had not confirmed them."
)
ORDERS_FORWARDED: Final = Counter("orders_forwarded_total", "Stored orders that the broker confirmed later.")
ORDERS_REFUSED: Final = Counter(
    "orders_refused_total", "Orders answered with 503: they could be kept nowhere."
)
KEYS_DECIDED_ALONE: Final = Counter(
    "idempotency_keys_decided_alone_total",
    "Idempotency keys compared at this gateway alone, because billing-app did not answer.",
)
STORE_DEPTH: Final = Gauge("order_store_depth", "Orders on disk.", multiprocess_mode="mostrecent")
STORE_AGE: Final = Gauge(
    "order_store_oldest_age_seconds", "Age of the oldest order on disk.", multiprocess_mode="mostrecent"
)
PUBLISHERS: Final = Gauge(
    "publishers",
    "Workers whose connection to the broker is in this state.",
    ["state"],
    multiprocess_mode="livesum",
)
ACCESS_LOG_LINES: Final = Counter(
    "access_log_lines_total", "Lines of the access log, by outcome.", ["outcome"]
)
