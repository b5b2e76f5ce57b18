"""The training text and the held-out set: which stories are written, and in what order."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator

from stories import (
    plots_animals,
    plots_family,
    plots_friends,
    plots_games,
    plots_home,
    plots_journey,
    plots_nature,
    plots_village,
)
from stories.engine import Story
from stories.loose import loose_text, mosaic, swapped

# The order is part of the seed: another one writes other stories.
PLOTS: list[Callable[[Story], None]] = [
    plots_home.lost_thing,
    plots_home.three_tasks,
    plots_home.broken,
    plots_family.night_fear,
    plots_family.cooking,
    plots_family.present,
    plots_friends.sharing,
    plots_games.mixed_up,
    plots_games.hide_and_seek,
    plots_games.race,
    plots_friends.newcomer,
    plots_friends.repair,
    plots_friends.show,
    plots_animals.chain,
    plots_animals.rescue,
    plots_animals.lost_baby,
    plots_nature.seed,
    plots_village.puzzle,
    plots_nature.rain,
    plots_journey.key,
    plots_village.market,
    plots_journey.two_paths,
    plots_village.wishes,
    plots_village.letters,
    plots_nature.snow,
    plots_journey.boat,
]
HELD_OUT_SEED = 2_000_003
TRAIN_SEED = 1
_ONE_IN = 12


def write(seed: str) -> dict[str, str]:
    """Write the story of this seed: its text, and columns with facts about it."""
    s = Story(random.Random(seed))
    plot = s.pick(PLOTS)
    plot(s)
    hero = s.env["A"]
    return {
        "text": s.text(),
        "plot": plot.__name__,
        "hero": hero.name,
        "hero_kind": hero.kind,
        "moral": s.facts.get("moral", ""),
    }


def is_reserved(story: dict[str, str]) -> bool:
    """Say whether this pairing of plot and hero is kept for the held-out set."""
    return zlib.crc32(f"{story['plot']}/{story['hero']}".encode()) % _ONE_IN == 0


def generate(seed: int, *, reserved: bool = False) -> Iterator[dict[str, str]]:
    """Yield stories without end, all of reserved pairings or none of them.

    The pairing decides, so no held-out story can be in the training text.
    """
    i = 0
    while True:
        story = write(f"{seed}/{i}")
        i += 1
        if is_reserved(story) == reserved:
            yield story


def held_out(n: int = 50) -> list[dict[str, str]]:
    """Return the n generated stories that no model of the family has seen."""
    stories = generate(HELD_OUT_SEED, reserved=True)
    return [next(stories) for _ in range(n)]


def training_texts(seed: int = TRAIN_SEED) -> Iterator[str]:
    """Yield training texts without end: 30 % stories; the rest is freer practice.

    That is 45 % loose texts, 18 % stories with words swapped, and 7 % mosaics of sentences. They
    keep the models from being sure of one continuation where a text is not of the plots' making:
    with fewer of them, larger models do worse than smaller ones on hand-written stories.
    """
    rng = random.Random(f"{seed}/mix")
    stories = (story["text"] for story in generate(seed))
    while True:
        kind = rng.random()
        if kind < 0.30:
            yield next(stories)
        elif kind < 0.75:
            yield loose_text(rng)
        elif kind < 0.93:
            yield swapped(next(stories), rng, rng.choice([0.1, 0.3, 0.6]))
        else:
            yield mosaic([next(stories), loose_text(rng), loose_text(rng)], rng)
