"""The contract's table of containers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NETWORK: Final = "play_with_containers_network"
LOG_VOLUME_PATH: Final = "/var/log/api-gateway"


@dataclass(frozen=True)
class Service:
    """A container of the platform.

    `volumes`: the path that each volume is mounted on, None where the contract leaves it open.
    `published`: the container's ports that are published, under the same number, on any address.
    """

    name: str
    listens_on: frozenset[int]
    volumes: Mapping[str, str | None] = field(default_factory=dict)
    published: frozenset[int] = frozenset()


SERVICES: Final = (
    Service(
        "api-gateway-app",
        frozenset({3000}),
        volumes={"api-gateway-app": LOG_VOLUME_PATH, "api-gateway-orders": None},
        published=frozenset({3000}),
    ),
    Service("inventory-app", frozenset({8080})),
    Service("billing-app", frozenset({8080})),
    Service("rabbitmq", frozenset({5672, 15672}), volumes={"rabbitmq": None}, published=frozenset({15672})),
    Service("inventory-database", frozenset({5432}), volumes={"inventory-database": None}),
    Service("billing-database", frozenset({5432}), volumes={"billing-database": None}),
)
NAMES: Final = tuple(service.name for service in SERVICES)
APPS: Final = ("api-gateway-app", "inventory-app", "billing-app")
