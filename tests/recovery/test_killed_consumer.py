"""billing-app killed again and again under one backlog: the long form is `make test-kills`."""

from __future__ import annotations

import json
import os
import uuid
from typing import Final

import pytest
from tests.library import flood
from tests.library.api import Api
from tests.library.settings import PATIENCE
from tests.library.support import wait_until
from tests.node.node import Node
from tests.recovery.test_recovery import wait_until_all_is_well

ORDERS: Final = int(os.environ.get("PLATFORM_BACKLOG", "5000"))
KILLS: Final = int(os.environ.get("PLATFORM_KILLS", "4"))

pytestmark = [pytest.mark.recovery, pytest.mark.timeout((600 + ORDERS // 50 + KILLS * 60) * PATIENCE)]

# On the node, and waiting inside the database, so that a kill comes at once when orders are being stored and
# the backlog lasts for all of them. `docker stop` after the kill only ends Docker's own waiting between
# restarts.
KILL: Final = """
set -eu
sql() {
  docker exec billing-database psql -v ON_ERROR_STOP=1 -qAt -h /run/postgresql -U USER -d DATABASE -c "$1"
}
kills=0
while [ "$kills" -lt KILLS ]; do
  before=$(sql "SELECT count(*) FROM orders")
  sql "SET statement_timeout = '300s'; DO \\$\\$ BEGIN
         WHILE (SELECT count(*) FROM orders) = $before LOOP PERFORM pg_sleep(0.01); END LOOP;
       END \\$\\$" &
  stored=$!
  docker start billing-app > /dev/null
  program=$(pgrep -o -P "$(docker inspect --format '{{.State.Pid}}' billing-app)")
  wait "$stored"
  kill -KILL "$program"
  kills=$((kills + 1))
  docker stop --time 0 billing-app > /dev/null
done
"""


def depths(node: Node) -> dict[str, int]:
    text = node.run("docker exec rabbitmq rabbitmqctl -q list_queues name messages --formatter json")
    return {queue["name"]: int(queue["messages"]) for queue in json.loads(text)}


def test_a_backlog_is_stored_exactly_once_however_often_its_consumer_is_killed(
    node: Node, env: dict[str, str], api: Api
) -> None:
    run = uuid.uuid4().hex
    administrator, database = env["POSTGRES_USER"], env["POSTGRES_DB"]
    count = f"""SELECT json_build_array(count(*), count(DISTINCT user_id))
                FROM orders WHERE user_id LIKE '{run}-%'"""  # noqa: S608
    wait_until_all_is_well(node, api)
    dead_letters = depths(node)["billing_dead_letter"]
    node.run("docker stop billing-app")
    try:
        assert json.loads(node.run(flood.command(run, ORDERS)))["confirmed"] == ORDERS
        script = (
            KILL.replace("KILLS", str(KILLS)).replace("USER", administrator).replace("DATABASE", database)
        )
        node.run(script)
        left = depths(node)["billing_queue"]
        assert left > 0, "each kill met a backlog"
    finally:
        node.run("docker start billing-app")
    wait_until(lambda: depths(node)["billing_queue"] == 0, "the queue is empty", seconds=300, interval=1)
    assert node.psql("billing-database", administrator, database, count) == [ORDERS, ORDERS]
    assert depths(node)["billing_dead_letter"] == dead_letters
    print(f"{ORDERS} orders, {KILLS} kills, {left} left at the last: all stored once, no dead letter")
    wait_until_all_is_well(node, api)
