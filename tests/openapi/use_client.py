"""Uses the client that openapi-python-client makes of openapi.yaml.

Arguments: the gateway's address, its API_TOKEN.
"""

import sys
import time
from uuid import UUID

from generated_client import AuthenticatedClient
from generated_client.api.movies import (
    add_movie,
    change_movie,
    delete_movie,
    delete_movies,
    get_movie,
    list_movies,
)
from generated_client.api.orders import get_order, post_order
from generated_client.api.platform import get_liveness, get_readiness
from generated_client.models import (
    Deleted,
    GetLivenessResponse200,
    ItemsAndAnAmount,
    Movie,
    MovieChange,
    MovieList,
    NewMovie,
    OneFilm,
    OrderAccepted,
    Problem,
    Readiness,
    StoredOrder,
)

PATIENCE_SECONDS = 30


def main(url: str, token: str) -> None:
    """Make each kind of call; an AssertionError tells which answer was not as described."""
    refused = delete_movies.sync(client=AuthenticatedClient(base_url=url, token="another"))
    assert isinstance(refused, Problem)
    assert refused.status == 401
    client = AuthenticatedClient(base_url=url, token=token)
    use_movies(client)
    use_orders(client)
    assert isinstance(get_liveness.sync(client=client), GetLivenessResponse200)
    readiness = get_readiness.sync(client=client)
    assert isinstance(readiness, Readiness)
    assert readiness.dependencies["inventory-app"].status.value == "up"


def use_movies(client: AuthenticatedClient) -> None:
    """Add, list, change and delete one."""
    movie = add_movie.sync(client=client, body=NewMovie(title="The Matrix"))
    assert isinstance(movie, Movie)
    page = list_movies.sync(client=client, title="matrix", limit=1)
    assert isinstance(page, MovieList)
    assert page.movies == [movie]
    changed = change_movie.sync(movie.id, client=client, body=MovieChange(description="Red or blue."))
    assert isinstance(changed, Movie)
    assert changed.description == "Red or blue."
    gone = delete_movie.sync(movie.id, client=client)
    assert isinstance(gone, Deleted)
    problem = get_movie.sync(movie.id, client=client)
    assert isinstance(problem, Problem)
    assert (problem.status, problem.title) == (404, "Not Found")


def use_orders(client: AuthenticatedClient) -> None:
    """Place an order in each form, and see it stored to the cent."""
    items = ItemsAndAnAmount(user_id="20", number_of_items=99, total_amount=0.07)
    order = stored(
        client, post_order.sync(client=client, body=items, idempotency_key=f"key {time.time_ns()}")
    )
    assert (order.user_id, order.number_of_items, order.total_amount) == ("20", 99, "0.07")
    film = stored(client, post_order.sync(client=client, body=OneFilm(user_id="user123", film_id=1)))
    assert (film.film_id, film.total_amount) == (1, None)
    wrong = post_order.sync(
        client=client, body=ItemsAndAnAmount(user_id="20", number_of_items=0, total_amount="0.07")
    )
    assert isinstance(wrong, Problem)
    assert isinstance(wrong.errors, list)
    assert [error.field for error in wrong.errors] == ["number_of_items"]


def stored(client: AuthenticatedClient, accepted: object) -> StoredOrder:
    """Return an accepted order as soon as it is stored."""
    assert isinstance(accepted, OrderAccepted)
    assert isinstance(accepted.order_id, UUID)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        order = get_order.sync(accepted.order_id, client=client)
        if isinstance(order, StoredOrder):
            return order
        assert time.monotonic() < deadline, order
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("done")
