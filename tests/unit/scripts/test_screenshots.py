"""The pictures of the page, and what is chosen for the film."""

from __future__ import annotations

import pytest

from argument_specs import ROOT
from screenshots import AFTER_SECONDS, BEFORE_SECONDS, IMAGES, LONGEST_SECONDS, Frame, durations, scenes

KILOBYTE = 1000


@pytest.mark.parametrize(
    ("name", "kilobytes"),
    [
        ("page.webp", 1000),
        ("page.png", 150),
        ("page-stopped.png", 150),
        ("page-order.png", 150),
        ("page-phone.png", 150),
    ],
)
def test_a_picture_is_small_and_shown(name: str, kilobytes: int) -> None:
    assert (IMAGES / name).stat().st_size < kilobytes * KILOBYTE
    assert f"](images/{name})" in (ROOT / "docs/page.md").read_text()


def test_each_readme_begins_with_the_film() -> None:
    for name in ("README.md", "README.fr.md"):
        assert "](docs/images/page.webp)" in (ROOT / name).read_text().partition("\n## ")[0]


def test_the_film_leaves_out_what_is_waiting() -> None:
    frames = [Frame(float(at), b"") for at in range(100)]
    chosen = [frame.at for frame in scenes(frames, (20.0, 60.0))]
    around = [*range(20 - int(BEFORE_SECONDS), 21 + int(AFTER_SECONDS))]
    assert chosen == [*around, *(at + 40 for at in around)]


def test_the_film_is_as_fast_as_what_it_shows_but_for_what_was_left_out() -> None:
    frames = [Frame(at, b"") for at in (1.0, 1.25, 1.5, 40.0)]
    assert durations(frames) == [0.25, 0.25, LONGEST_SECONDS, LONGEST_SECONDS]
