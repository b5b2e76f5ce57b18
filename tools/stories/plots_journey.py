"""Plots with a way to go: a key, two paths, a boat."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import make_friend, make_hero, make_thing, parent_of


def key(s: Story) -> None:
    """A key is hidden early, in one place among several; later it is needed."""
    a = make_hero(s)
    p = parent_of(s, a)
    inside = make_thing(s, words.KEEPSAKES[:3] + words.TREASURES[:2] + words.INSTRUMENTS[:4])
    s.set(
        A=a,
        P=p,
        B=make_friend(s, a),
        box=make_thing(s, ["box", "chest", "trunk", "cupboard"]),
        key=make_thing(s, ["key"]),
        t=inside,
        spot=s.pick(words.SPOTS),
        no=s.pick(words.SPOTS),
    )
    while s.env["no"] == s.env["spot"]:
        s.set(no=s.pick(words.SPOTS))
    opening(s, a)
    s.say(
        "In the [attic|cellar|house] stood {box.a}. It was [always|] locked, and "
        "nobody knew what was inside."
    )
    hider = s.pick(["{P.full}", "The old aunt", "{A.his} big brother"])
    s.say(
        f"[Long ago|Years before|Last winter], {hider} had hidden {{key.the}} {{spot}}"
        "[| and told only {A}|, where no one would look]."
    )
    s.paragraph()
    s.say(
        '<opening>, {B} came to [play|visit]. "[What is in the {box.short}|Can we '
        'open the {box.short}]?" {B.he} asked.'
    )
    s.say('"[We need the key|It is locked]," said {A}. "[Wait|Let me think]."')
    if s.chance(0.4):
        aside(s)
    s.say(
        "They [looked|searched] {no}, but [found only dust|the key was not there]. "
        "then {A} [remembered|thought of] what {A.he} had heard and looked {spot}. "
        "There [it was|lay {key.the}]!"
    )
    s.say(
        "The {key.short} [turned|fit] with a [click|squeak], and the {box.short} "
        "opened. Inside was {t.a}."
    )
    s.say('"how beautiful!" <cried> {B}.')
    owner = s.pick(["me when I was little", "your grandpa", "my mother", "your aunt"])
    s.say(
        f'They asked {{P}} about it. "The {{t.short}} belonged to {owner}," {{P.he}} said. '
        '"[You may keep it|Take good care of it|I had forgotten it]."'
    )
    s.maybe(
        0.6,
        (
            "When they were done, {A} locked the {box} and put the {key} back {spot}[|, "
            "just where it had been]."
        ),
    )
    ending(s, "care", 0.35)


def two_paths(s: Story) -> None:
    """A warning about two ways; it is heeded or not, with what follows."""
    a = make_hero(s)
    b = make_friend(s, a)
    good, bad = s.pick([("left", "right"), ("right", "left")])
    danger, saved = s.pick(
        [
            ("a deep swamp", "pulled {A.him} out with a rope"),
            ("an old bridge with a hole", "threw {A.him} a rope"),
            ("thorns as high as a house", "cut the thorns away"),
            ("a bear's cave", "led {A.him} out on tiptoe"),
            ("a field of mud", "laid down a ladder"),
            ("a wild goat with big horns", "called the goat away with a carrot"),
        ]
    )
    s.set(
        A=a,
        B=b,
        P=parent_of(s, a),
        good=good,
        bad=bad,
        d=danger,
        saved=s.expand(saved, A=a),
        dest=s.pick(
            [
                "grandmother's house",
                "the mill",
                "the fair",
                "the lake",
                "the doctor's house",
                "the next village",
            ]
        ),
        load=make_thing(s, ["basket", "bag", "jar", "pot"]),
        food=s.pick(words.FOODS[:10]),
        helper=make_friend(s, a, b),
    )
    while s.env["helper"].name in (a.name, b.name):
        s.set(helper=make_friend(s, a, b))
    s.set(H=s.env["helper"])
    opening(s, a)
    s.say("<opening>, {A} and {B} had to [take|carry] {load.a} with some {food} to {dest}.")
    s.say(
        '"[Where the road splits|At the big stone], go {good}," said {P}. "[Do not '
        'go {bad}|Never go {bad}]: there is {d}."'
    )
    if s.chance(0.4):
        aside(s)
    s.paragraph()
    s.say(
        "When they came to the [fork|place where the road split], {B} stopped. "
        '"Which way was it?" {B.he} asked.'
    )
    obey = s.chance(0.5)
    s.facts["obeyed"] = "yes" if obey else "no"
    if obey:
        s.say(
            '"My {P.kind} said {good}," [answered|said] {A}. "On the {bad} there is {d}."',
            (
                "[The {bad} way looked shorter|There were pretty flowers on the {bad}], but "
                "they went {good}."
            ),
        )
        s.say(
            "<later>, they met {H}[, who was dirty and <tired>|, who had mud on {H.his} "
            'face]. "I went {bad}," said {H}. "And there was {d}! [I lost my shoe|I '
            'barely got away]."'
        )
        s.say(
            (
                '"[Come with us|Walk with us]," said {A}, and the three of them came safely '
                "to {dest}."
            ),
            "They [shared|ate] the {food} there[|, and it tasted good].",
        )
    else:
        s.say(
            (
                '"[The {bad} way is shorter|I see flowers on the {bad}]," said {A}. "Let us '
                'go {bad}. [Nothing will happen|It will be fun]."'
            ),
            '"But your {P.kind} said {good}," said {B}. {A} did not listen.',
        )
        s.say(
            (
                "[They had not gone far when they came to|Soon there was] {d}. {A} was [in "
                "trouble|stuck] and {B} ran for help."
            ),
            (
                "[By good luck|Luckily], {H} [was near|came by] and {saved}. But the {load} "
                "was lost, and so was the {food}."
            ),
        )
        s.say('"My {P.kind} was right," said {A}. "next time I will go {good}."')
    ending(s, "listen", 0.7)


def boat(s: Story) -> None:
    """A boat trip, a storm, a leak; what each one does, and who tells it afterwards."""
    a = make_hero(s)
    b = make_friend(s, a)
    o = make_thing(s, ["boat"])
    use = s.pick(
        [
            ("a cup", "threw the water out"),
            ("a hat", "scooped the water out"),
            ("a bucket", "threw the water out"),
            ("a spoon", "scooped out the water, drop by drop"),
        ]
    )
    plug = s.pick(
        ["a sock", "a piece of wood", "some bread", "a ball of wax", "a scarf", "an old cork"]
    )
    light = s.pick(
        [
            "a lamp in a tower",
            "a fire on the beach",
            "a star above the hill",
            "a lantern by the shore",
        ]
    )
    s.set(
        A=a,
        B=b,
        o=o,
        u=use[0],
        did=use[1],
        plug=plug,
        plugd="the " + plug.split(" ", 1)[1],
        light=light,
        lightd="the " + light.split(" ", 1)[1],
        isle=s.pick(["an island", "the other shore", "the little island"]),
        found=make_thing(s, words.TREASURES),
        P=parent_of(s, a),
    )
    opening(s, a)
    s.say(
        "<opening>, {A} and {B} took {o.a} and [sailed|went] to {isle}. [{A} was the "
        "captain|{B} was the captain]."
    )
    s.say(
        "[There|On the shore|In the sand], {B} found {found.a} and [put it in "
        "{B.his} pocket|showed it to {A}]."
    )
    if s.chance(0.4):
        aside(s)
    s.say(
        "[On the way back|On the way home], a [storm came up|strong wind blew], and "
        "the waves [were as high as a house|hit the boat]."
    )
    s.paragraph()
    s.say(
        (
            '<suddenly>, {A} <saw> a hole in the {o}. "[Water is coming in|We are '
            'sinking]!" {A.he} <cried>.'
        ),
        "{B} [stopped|closed] the hole with {plug}, while {A} took {u} and {did}.",
    )
    s.say(
        '"[Which way is home|It is so dark, where is the shore]?" <asked> {B}. then '
        '{A} saw {light}. "[That way|There]!" {A.he} said. They [followed|steered '
        "toward] {lightd}, and [at last|soon] the {o.short} touched the sand."
    )
    s.say(
        (
            "{P.full} [was waiting|stood] there and [hugged them both|held them tight]. "
            '"How did you [do it|get home]?"'
        ),
        (
            '"{B} [stopped|closed] the hole with {plug}," said {A}. "And {A} [saw|found] '
            '{lightd}," said {B}.'
        ),
    )
    s.maybe(
        0.6,
        ('{B} [gave|handed] {A} the {found.short}. "[You keep it|For you], captain," {B.he} said.'),
    )
    ending(s, s.pick(["help", "courage"]), 0.5)
