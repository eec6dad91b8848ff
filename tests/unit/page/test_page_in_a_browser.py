"""The page as people use it, in a real browser, against the real apps."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import pytest
from tests.library.page_platform import Platform
from tests.library.support import wait_until

# Of requirements/tests.in, but large: who has only the rest can run the other tests.
expect = pytest.importorskip("playwright.sync_api").expect
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</h3><script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{title} &lt;b&gt; \u202e",
]
ORDER = {"user_id": "20", "number_of_items": "1", "total_amount": "3"}


@pytest.fixture(autouse=True)
def everything_runs(platform: Platform) -> None:
    platform.movies.execute("TRUNCATE movies")


def add(platform: Platform, *titles: str) -> None:
    for title in titles:
        answer = platform.gateway.request("POST", "/api/movies", {"title": title, "description": title})
        assert answer.status == 200


def fill_in(page: Any, button: str, **fields: str) -> None:
    """Fill in the dialog that is open, and send it."""
    for name, value in fields.items():
        page.locator(f"dialog [name={name}]").fill(value)
    page.locator("dialog").get_by_role("button", name=button, exact=True).click()


def box(page: Any, name: str) -> Any:
    return page.locator(f"#box-{name}")


def test_a_movie_is_added_found_changed_ordered_and_deleted(open_page: Any) -> None:
    page = open_page("shop")
    expect(page.get_by_text("There are no movies yet")).to_be_visible()
    page.get_by_role("button", name="Add a movie").click()
    fill_in(page, "Save", title="Metropolis", description="A city of the future.")
    expect(page.locator("main .news")).to_have_text("Added: Metropolis")

    page.get_by_role("button", name="Edit Metropolis").click()
    fill_in(page, "Save", title="Nosferatu")
    expect(page.locator(".catalogue h3")).to_have_text("Nosferatu")

    page.get_by_role("button", name="Order Nosferatu").click()
    fill_in(page, "Order", user_id="guest", total_amount="9,90")
    page.get_by_role("link", name="Follow it on the map").click()
    expect(page.locator("[data-step=stored]")).to_have_class("done")
    expect(page.locator("[data-step=accepted] .when")).to_contain_text(":")

    page.get_by_role("link", name="Shop").click()
    page.get_by_role("button", name="Delete Nosferatu").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("main .news")).to_have_text("Deleted: Nosferatu")
    expect(page.locator(".catalogue li")).to_have_count(0)


def test_the_list_has_pages_and_is_searched_as_one_types(open_page: Any, platform: Platform) -> None:
    add(platform, *(f"Film {number:02}" for number in range(45)), "Metropolis")
    page = open_page("shop")
    titles = page.locator(".catalogue h3")
    expect(titles).to_have_count(20)
    page.get_by_role("button", name="Next").click()
    expect(titles.first).to_have_text("Film 20")
    page.get_by_role("button", name="Next").click()
    expect(titles).to_have_count(6)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(titles.first).to_have_text("Film 20")
    page.get_by_role("searchbox").press_sequentially("METRO")
    expect(titles).to_have_text(["Metropolis"])
    page.get_by_role("searchbox").fill("nothing of the kind")
    expect(page.get_by_text("No title contains this.")).to_be_visible()


@pytest.mark.parametrize("title", HOSTILE)
def test_what_a_user_wrote_never_becomes_markup(open_page: Any, platform: Platform, title: str) -> None:
    add(platform, title)
    page = open_page("shop")
    expect(page.locator(".catalogue h3")).to_have_text(title)
    page.locator(".catalogue button", has_text="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("main .news")).to_have_text(f"Deleted: {title}")
    assert page.locator("main img, main script").count() == 0


def test_an_error_is_told_in_words_of_the_language(open_page: Any, platform: Platform) -> None:
    add(platform, "Metropolis")
    page = open_page("shop", locale="fr-FR")
    page.get_by_role("button", name="Commander Metropolis").click()
    fill_in(page, "Commander", total_amount="beaucoup")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Une valeur n'est pas correcte.")
    expect(alert.locator("[lang=en]")).to_contain_text("total_amount")
    fill_in(page, "Commander", total_amount="5")
    expect(page.locator("main .news")).to_contain_text("Commandé : Metropolis")


def test_with_a_token_the_page_asks_for_it_once(open_page: Any, platform: Platform) -> None:
    add(platform, "Metropolis", "Nosferatu")
    page = open_page("shop")
    platform.gateway.token_file.write_text("a-token-for-the-page")
    try:
        wait_until(lambda: platform.gateway.request("DELETE", "/api/movies/1").status == 401, "it counts")
        page.get_by_role("button", name="Delete Metropolis").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("This platform asks for a token")).to_be_visible()
        page.locator("#token").fill("a-wrong-one")
        page.get_by_role("button", name="Use it").click()
        expect(page.get_by_text("That token was not the right one.")).to_be_visible()
        page.locator("#token").fill("a-token-for-the-page")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("main .news")).to_have_text("Deleted: Metropolis")
        page.get_by_role("button", name="Delete Nosferatu").click()
        page.locator("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator("main .news")).to_have_text("Deleted: Nosferatu")
        assert page.evaluate("Object.values(localStorage).join()").find("token") < 0
    finally:
        platform.gateway.token_file.write_text("")
        wait_until(lambda: platform.gateway.request("DELETE", "/api/movies/1").status != 401, "all is open")


def test_the_language_is_the_browsers_and_can_be_changed(open_page: Any) -> None:
    page = open_page(locale="fr-CA")
    expect(page.get_by_role("link", name="Boutique")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "fr"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("link", name="Shop")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Shop")).to_be_visible()


def test_both_languages_have_the_same_texts(open_page: Any) -> None:
    page = open_page()
    differences = page.evaluate(
        """async () => {
          const version = document.querySelector("script[src]").getAttribute("src").replace(/app\\.js$/, "");
          const [en, fr] = await Promise.all(["en", "fr"].map((tag) => import(`${version}text/${tag}.js`)));
          const keys = (words) => Object.keys(words.default);
          const holes = (text) => (text.match(/\\{\\w+\\}/g) ?? []).sort().join();
          return [...keys(en), ...keys(fr)].filter((key) => !(key in en.default) || !(key in fr.default)
            || holes(en.default[key]) !== holes(fr.default[key]));
        }"""
    )
    assert differences == []


def test_billing_app_goes_grey_the_queue_grows_and_drains(open_page: Any, platform: Platform) -> None:
    page = open_page("lab")
    experiment = page.locator("#experiment-consumer li")
    page.get_by_role("link", name="Map").click()
    expect(box(page, "billing-app")).to_have_attribute("data-status", "up")
    expect(box(page, "billing-database")).to_have_attribute("data-status", "up")
    platform.billing.stop()
    try:
        expect(box(page, "billing-app")).to_have_attribute("data-status", "down")
        expect(page.locator(".sentence")).to_contain_text("Down: billing-app")
        for number in range(1, 4):
            assert platform.gateway.post_order().status == 200
            expect(page.locator("[data-strip=waiting]")).to_have_text(str(number))
        expect(page.locator(".waiting rect.full")).to_have_count(3)
        expect(page.locator("[data-number=waiting]")).to_have_text("3")
    finally:
        platform.billing.start()
    expect(box(page, "billing-app")).to_have_attribute("data-status", "up")
    expect(page.locator("[data-strip=waiting]")).to_have_text("0")
    expect(page.locator(".sentence")).to_have_text("Everything is up.")
    # The lab has seen all of it.
    page.get_by_role("link", name="Lab").click()
    for step in range(3):
        expect(experiment.nth(step)).to_have_class("done")


def test_a_bad_message_is_seen_among_the_dead_letters(open_page: Any, platform: Platform) -> None:
    page = open_page()
    expect(page.locator("[data-strip=dead_letters]")).to_have_text("0")
    platform.broker.put(b"no order")
    expect(page.locator("[data-strip=dead_letters]")).to_have_text("1")


def test_a_restore_is_seen_in_the_catalogue(open_page: Any, platform: Platform) -> None:
    add(platform, "Metropolis")
    page = open_page("lab")
    steps = page.locator("#experiment-restore li")
    expect(steps.nth(1)).to_have_class("")
    with page.expect_response("**/api/movies?title=*"):
        pass
    # The command of the step.
    title = re.search(r'"title": "(.+?)"', steps.nth(1).locator("code").inner_text())
    assert title is not None
    add(platform, title[1])
    expect(steps.nth(1)).to_have_class("done")
    # The database of before the restore is kept.
    platform.movies.execute("CREATE TABLE kept AS TABLE movies")
    platform.movies.execute("TRUNCATE movies")
    expect(steps.nth(2)).to_have_class("done")
    # Another one with this title is not the same one.
    add(platform, title[1])
    with page.expect_response("**/api/movies?title=*"):
        pass
    expect(steps.nth(3)).to_have_class("")
    platform.movies.execute("TRUNCATE movies")
    platform.movies.execute("INSERT INTO movies OVERRIDING SYSTEM VALUE SELECT * FROM kept")
    platform.movies.execute("DROP TABLE kept")
    expect(steps.nth(3)).to_have_class("done")


def test_the_lab_looks_at_the_catalogue_only_while_it_is_open(open_page: Any) -> None:
    page = open_page("lab")
    with page.expect_response("**/api/movies?title=*"):
        pass
    page.get_by_role("link", name="Map").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_function(
        "start => performance.now() > start + 5000", arg=page.evaluate("performance.now()")
    )
    assert [url for url in asked if "/api/" in url] == []


def tell(page: Any, *states: dict[str, Any]) -> None:
    """Have the page read these states in place of the feed: one each time that it asks, the last for ever."""
    left = list(states)

    def answer(route: Any) -> None:
        state = left.pop(0) if len(left) > 1 else left[0]
        body = f"event: state\ndata: {json.dumps(state)}\n\n"
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/feed", answer)


def state_of(*replicas: bool, candidates: Sequence[str] = ()) -> dict[str, Any]:
    """A state of the feed, of which only inventory-app is of interest."""
    service = {"status": "up", "reason": "", "replicas": list(replicas)}
    names = ("inventory-app", "inventory-database", "billing-app", "billing-database", "rabbitmq")
    numbers = dict.fromkeys(("waiting", "consumers", "dead_letters", "kept"), 0)
    return {"services": dict.fromkeys(names, service), "candidates": list(candidates), **numbers}


SERVES = state_of(True)
IS_TRIED = state_of(True, candidates=["inventory-app"])


@pytest.mark.parametrize(
    ("states", "is_refused"),
    [
        pytest.param([SERVES, IS_TRIED, SERVES], True, id="refused"),
        pytest.param([SERVES, IS_TRIED, SERVES, state_of(True, True), SERVES], False, id="it took over"),
        pytest.param([SERVES, IS_TRIED, state_of(False), SERVES], False, id="the old one failed"),
        pytest.param([SERVES], False, id="nothing was tried"),
    ],
)
def test_a_version_that_is_refused_is_seen(
    open_page: Any, states: list[dict[str, Any]], is_refused: bool
) -> None:
    page = open_page("lab")
    page.clock.install()
    tell(page, *states)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()

    def feeds() -> int:
        return sum(url.endswith("/feed") for url in asked)

    while feeds() <= len(states):
        page.clock.run_for(1000)
    page.clock.run_for(16_000)
    until = feeds() + 2
    while feeds() < until:
        page.clock.run_for(1000)
    step = page.locator("#experiment-update li").nth(1)
    expect(step).to_have_class("done" if is_refused else "")


def test_the_map_says_that_a_version_is_tried(open_page: Any) -> None:
    page = open_page()
    tell(page, IS_TRIED)
    page.reload()
    expect(box(page, "inventory-app")).to_contain_text("A new version is being tried.")
    expect(box(page, "billing-app")).not_to_contain_text("A new version is being tried.")


def test_a_large_catalogue_costs_the_page_no_more_than_a_small_one(
    open_page: Any, platform: Platform
) -> None:
    platform.movies.execute(
        "INSERT INTO movies (title, description) SELECT 'Film ' || n, '' FROM generate_series(1, 20000) AS n"
    )
    page = open_page("shop")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    rows = page.locator(".catalogue li")
    expect(rows).to_have_count(20)
    for number in range(1, 6):
        page.get_by_role("button", name="Next").click()
        expect(rows.locator("h3").first).to_have_text(f"Film {number * 20 + 1}")
    expect(rows).to_have_count(20)
    elements = page.evaluate("document.querySelectorAll('*').length")
    assert elements < 800
    asked.clear()
    # Ten letters, and the list is asked for once they are there.
    page.get_by_role("searchbox").press_sequentially("film 19999", delay=30)
    expect(rows).to_have_count(1)
    asked = [url for url in asked if "/api/" in url]
    assert len(asked) <= 2
    assert all("limit=20&" in url for url in asked)


def test_an_order_of_curl_is_followed_by_its_id(open_page: Any, platform: Platform) -> None:
    page = open_page()
    answer = platform.gateway.request("POST", "/api/billing", ORDER, {"X-Request-ID": "from-curl <b>"})
    order_id = answer.json()["order_id"]
    page.get_by_label("Order", exact=True).fill(order_id)
    page.get_by_role("button", name="Follow").click()
    expect(page.locator("[data-step=stored]")).to_have_class("done")
    expect(page.locator(".way")).to_contain_text("Request id: from-curl <b>")
    expect(page.locator("[data-step]")).to_have_count(4)


def test_an_order_that_the_gateway_keeps_is_followed(open_page: Any, platform: Platform) -> None:
    page = open_page()
    expect(box(page, "rabbitmq")).to_have_attribute("data-status", "up")
    platform.broker.server.pause()
    try:
        order_id = platform.gateway.post_order().json()["order_id"]
        page.get_by_role("button", name=order_id[:8]).click()
        expect(page.locator("[data-step=kept]")).to_have_class("done")
        expect(page.locator("[data-step=handed_over]")).to_have_class("")
        expect(box(page, "rabbitmq")).to_have_attribute("data-status", "down")
        expect(page.locator("[data-strip=kept]")).to_have_text("1")
    finally:
        platform.broker.server.resume()
    expect(page.locator("[data-step=stored]")).to_have_class("done", timeout=30_000)
    expect(page.locator("[data-strip=kept]")).to_have_text("0")


def test_the_page_says_that_the_gateway_is_gone_and_recovers_by_itself(
    open_page: Any, platform: Platform
) -> None:
    page = open_page()
    expect(box(page, "inventory-app")).to_have_attribute("data-status", "up")
    platform.gateway.kill()
    try:
        expect(page.get_by_text("The gateway does not answer.")).to_be_visible()
    finally:
        platform.gateway.start()
    expect(page.get_by_text("The gateway does not answer.")).to_be_hidden(timeout=30_000)
    expect(box(page, "inventory-app")).to_have_attribute("data-status", "up")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_every_width_in_both_colour_schemes(open_page: Any, scheme: str, width: int) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    expect(box(page, "rabbitmq")).to_have_attribute("data-status", "up")
    for view in ("map", "shop", "lab"):
        page.goto(page.url.split("#")[0] + f"#{view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 18, 23)") == (scheme == "dark")


def test_nothing_moves_for_who_wants_no_motion(open_page: Any, platform: Platform) -> None:
    page = open_page(reduced_motion="reduce")
    expect(box(page, "inventory-app")).to_have_attribute("data-status", "up")
    order_id = platform.gateway.post_order().json()["order_id"]
    expect(page.get_by_role("button", name=order_id[:8])).to_be_visible()
    assert page.locator(".dot").count() == 0


def test_orders_move_along_the_lines(open_page: Any, platform: Platform) -> None:
    page = open_page()
    expect(box(page, "rabbitmq")).to_have_attribute("data-status", "up")
    platform.gateway.post_order()
    expect(page.locator(".dot.order").first).to_be_visible()


def test_painting_waits_for_three_small_stylesheets_alone(open_page: Any) -> None:
    page = open_page()
    page.wait_for_selector("#box-rabbitmq")
    blocking = page.evaluate(
        """performance.getEntriesByType("resource")
            .filter((entry) => entry.renderBlockingStatus === "blocking")
            .map((entry) => [entry.name.split("/").at(-1), entry.decodedBodySize])"""
    )
    assert {name for name, _ in blocking} == {"base.css", "map.css", "shop.css"}
    assert sum(size for _, size in blocking) < 20_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_nothing_serious_to_say(open_page: Any, platform: Platform, scheme: str) -> None:
    add(platform, "Metropolis")
    axe = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    page = open_page(color_scheme=scheme)
    order_id = platform.gateway.post_order().json()["order_id"]
    page.get_by_role("button", name=order_id[:8]).click()
    expect(page.locator("[data-step=stored]")).to_have_class("done")
    page.evaluate(axe)
    findings = audit(page)
    page.get_by_role("link", name="Lab").click()
    findings += audit(page)
    page.get_by_role("link", name="Shop").click()
    findings += audit(page)
    page.get_by_role("button", name="Order Metropolis").click()
    findings += audit(page)
    assert findings == []


def audit(page: Any) -> list[str]:
    """Return what axe finds on the view that is shown."""
    result = page.evaluate("axe.run()")
    assert result["passes"]
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in result["violations"]
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]
