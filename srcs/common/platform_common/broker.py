"""Where the broker is, who we are there, and what the platform's parts of it are called."""

from __future__ import annotations

from dataclasses import dataclass

import pika

from platform_common.settings import Environment, SecretFile


@dataclass(frozen=True)
class BrokerSettings:
    """The broker, our account there (its password is read at each connect), and the topology's names.

    Ansible makes the topology: apps have no right to, and only check that it is there.
    """

    host: str
    port: int
    user: str
    virtual_host: str
    password: SecretFile
    exchange: str
    routing_key: str
    queue: str
    dead_letter_exchange: str

    @classmethod
    def read(cls, env: Environment) -> BrokerSettings:
        """Read the RABBITMQ_… and BILLING_… variables and the secret file rabbitmq_password.

        Raises:
            SettingsError: one of them is missing or malformed.
        """
        return cls(
            host=env.text("RABBITMQ_HOST"),
            port=env.integer("RABBITMQ_PORT", 5672, 1, 65535),
            user=env.text("RABBITMQ_USER"),
            virtual_host=env.text("RABBITMQ_VHOST", "/"),
            password=env.secret_file("rabbitmq_password"),
            exchange=env.text("BILLING_EXCHANGE", "billing_orders"),
            routing_key=env.text("BILLING_ROUTING_KEY", "order"),
            queue=env.text("BILLING_QUEUE", "billing_queue"),
            dead_letter_exchange=env.text("BILLING_DEAD_LETTER_EXCHANGE", "billing_dead_letter"),
        )

    def connection_parameters(
        self,
        connection_name: str,
        *,
        heartbeat: int = 15,
        blocked_seconds: float | None = None,
        connect_seconds: float = 3,
    ) -> pika.ConnectionParameters:
        """Return what pika needs for one try to connect.

        Args:
            connection_name: how the connection shows up on the management page.
            heartbeat: seconds of silence after which either side gives the other up.
            blocked_seconds: how long to bear a broker that blocks publishers (an alarm).
            connect_seconds: bound of each step of connecting.

        Raises:
            SettingsError: the password cannot be read.
        """
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(self.user, self.password.read()),
            heartbeat=heartbeat,
            blocked_connection_timeout=blocked_seconds,
            socket_timeout=connect_seconds,
            stack_timeout=connect_seconds * 2,
            connection_attempts=1,
            client_properties={"connection_name": connection_name},
        )
