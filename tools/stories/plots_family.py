"""Plots in the family: a dark night, a meal, a present."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import (
    count,
    elder,
    make_child,
    make_friend,
    make_hero,
    make_thing,
    number,
    parent_of,
    plural,
)


def night_fear(s: Story) -> None:
    """A noise in the dark turns out to be something small."""
    a = make_hero(s)
    s.set(A=a, P=parent_of(s, a), t=make_thing(s, ["lantern", "lamp", "candle"]))
    noise = s.pick(
        [
            "tap, tap, tap",
            "scratch, scratch",
            "creak, creak",
            "whoo, whoo",
            "thump, thump",
            "drip, drip, drip",
            "bump, bump",
        ]
    )
    causes = {
        "tap, tap, tap": ["a branch that the wind blew against the window", "a woodpecker"],
        "scratch, scratch": ["a tiny mouse with a crumb", "the cat, who wanted to come in"],
        "creak, creak": ["the garden gate, which was open", "an old door in the wind"],
        "whoo, whoo": ["an owl in the tree", "the wind in the chimney"],
        "thump, thump": ["a hedgehog in a flower pot", "the dog's tail on the floor"],
        "drip, drip, drip": ["the rain, falling from the roof into a bucket", "a tap"],
        "bump, bump": ["a shutter that was not closed", "an apple rolling on the floor"],
    }
    s.set(x=noise, cause=s.pick(causes[noise]))
    opening(s, a)
    s.say(
        "but {A.he} was afraid of [the dark|the night]."
        if s.chance(0.6)
        else "{A.He} did not like [the dark|to sleep alone]."
    )
    s.say(
        "one night, when [everyone was asleep|the moon was behind the clouds|it was "
        'very late], {A} heard a [strange|soft|funny] sound. "{x}!"'
    )
    guess = s.pick(["a monster", "a ghost", "a big bear", "a dragon", "a thief"])
    s.say(
        f'"[It must be|Maybe it is|What if it is] {guess}!" thought {{A}}[| and hid under the'
        " blanket| and held {A.his} breath]."
    )
    s.paragraph()
    alone = s.chance(0.4)
    if alone:
        s.say(
            (
                '"{x}!" [it went again|there it was again]. {A} took a deep breath. "I [will|'
                'must] look," {A.he} <whispered>.'
            ),
            "{A.He} took {t.a} and went [slowly|step by step|on tiptoe] to the [door|window].",
        )
    else:
        s.say(
            '"{P.call}!" <cried> {A}. {P} came [at once|with {t.a}].',
            '"There is {g} [outside|in the house]," said {A}.',
            g=guess,
        )
        s.say('"Let us look together," said {P}[| and took {A.his} hand].')
    s.say(
        "the {t} [shone|gave light] on the [wall|floor|window], and what did they see?"
        if not alone
        else "{A.He} held up the {t.short}, and what did {A.he} see?",
        "It was not {g} at all. It was [only|just] {cause}!",
        g=guess,
    )
    s.say(
        "{A} [had to laugh|laughed and laughed|felt silly and <happy>]."
        if alone
        else "{A} and {P} laughed [so much that|so much that] their bellies hurt."
    )
    s.maybe(
        0.6,
        (
            '[After that|From that night on], when {A.he} heard "{x}" in the dark, {A} '
            "[turned over and slept|thought of {cause} and smiled]."
        ),
    )
    ending(s, "courage", 0.6)


def cooking(s: Story) -> None:
    """A recipe with counted things; one is missing and is borrowed."""
    a = make_hero(s)
    e = elder(s)
    s.set(A=a, P=parent_of(s, a), E=e, dish=s.pick(words.DISHES))
    veg = s.pick(words.VEGETABLES if s.env["dish"] in ("soup", "stew", "salad") else words.FRUITS)
    need, have = s.rng.randint(3, 8), 0
    have = s.rng.randint(1, need - 1)
    other = s.pick(["salt", "sugar", "butter", "milk", "flour", "honey"])
    s.set(
        need=count(need, veg),
        have=count(have, veg),
        more=number(need - have),
        veg=plural(veg),
        gap=count(need - have, veg),
        other=other,
        guest=s.pick(
            ["the neighbors", "grandpa", "the whole family", "their friends", "the old postman"]
        ),
    )
    opening(s, a)
    s.say(
        "<opening>, {A} wanted to make a {dish} [for {guest}|with {P}|for supper].",
        '"[What do we need|What goes into it]?" {A.he} asked.',
    )
    s.say(
        '"We need {need} and some {other}," said {P}.',
        (
            "{A} looked in the [cupboard|basket|kitchen] and found the {other}, but "
            "[only|just] {have}."
        )
        if have > 1
        else "{A} looked in the cupboard and found the {other}, but only {have}.",
    )
    s.say(
        '"[Then we need|We are missing] {more} more," said {A}[| after counting on '
        "{A.his} fingers]."
    )
    s.paragraph()
    if s.chance(0.35):
        aside(s)
    s.say(
        "so {A} [went|ran] [next door|across the road|down the lane] to {E}, the {E.kind}.",
        '"[Please|Excuse me], may I [have|borrow] {gap}?" {A.he} asked[| politely].',
    )
    s.say(
        '"[Of course|Gladly|Certainly]," said {E}[|, who was [sweeping|digging|'
        'reading]]. "[But you must bring me a piece of the {dish}|Take them, they '
        'are fresh]."'
    )
    s.say("{A} [carried|took] the {veg} home [in {A.his} hat|in a <colours> basket|carefully].")
    s.paragraph()
    s.say(
        (
            "They [washed|cut|peeled] the {veg}, [stirred|mixed] everything and [put|"
            "set] the {dish} on the [stove|fire|table]."
        )
        if s.env["dish"] in ("soup", "stew", "salad")
        else "They washed the {veg}, mixed everything and put the {dish} into the [hot|] oven.",
        "<later>, the {dish} was ready and [smelled|tasted] [wonderful|of {veg}].",
    )
    if s.chance(0.7):
        s.say(
            "{A} brought a [big|warm] piece to {E}[|, just as {A.he} had promised]."
            if s.env["dish"] not in ("soup", "stew", "pudding", "salad")
            else "{A} brought a [big|warm] bowl to {E}[|, just as {A.he} had promised]."
        )
        s.say('"[Mm|Oh], that is the best {dish} I have ever [eaten|had]," said the {E.kind}.')
    else:
        s.say("{guest} came and ate [it all|until nothing was left].")
    ending(s, "sharing", 0.5)


def present(s: Story) -> None:
    """A gift must fit what its receiver likes, as was told at the beginning."""
    a = make_child(s)
    b = make_friend(s, a) if s.chance(0.5) else parent_of(s, a)
    s.set(A=a, B=b)
    likes = s.pick(
        [
            ("loved music", ["a drum", "a flute", "a little bell", "a guitar"], "play a song"),
            (
                "loved to paint",
                ["a brush", "a box of paints", "a big sheet of paper"],
                "paint a picture",
            ),
            ("was always cold", ["a scarf", "a warm coat", "a thick blanket"], "stay warm"),
            ("loved to read", ["a book", "a lamp for the bed", "a book of maps"], "read at night"),
            (
                "loved flowers",
                ["a rose bush", "a pot of tulips", "a green watering can"],
                "grow flowers",
            ),
            ("liked to bake", ["a big bowl", "an apron", "a wooden spoon"], "bake a cake"),
            (
                "was always late",
                ["a clock", "a watch", "a bell that rings in the morning"],
                "be on time",
            ),
            (
                "loved the stars",
                ["a map of the sky", "a star made of glass", "a book about the moon"],
                "look at the sky",
            ),
            ("liked to fish", ["a net", "a long rod", "a small boat"], "go to the river"),
        ]
    )
    gift = s.pick(likes[1])
    wrong = s.sample(
        [
            "a yellow balloon",
            "a bag of nuts",
            "a toy car",
            "a bone",
            "a red ball",
            "a silver ring",
            "a box of candy",
            "a stone",
        ],
        2,
    )
    s.set(
        like=likes[0],
        g=gift,
        use=likes[2],
        w0=wrong[0],
        w1=wrong[1],
        c=s.pick(words.COLOURS),
        c2=s.pick(words.COLOURS),
        day=s.pick(words.DAYS),
    )
    opening(s, a)
    s.say(
        "{A.His} [best|dear|good] friend {B} {like}."
        if b.owner is None
        else "{A.His} {B.kind} {like}[|, as everyone knew]."
    )
    s.say(
        "It [was|would be] {B.full}'s birthday on {day}, and {A} wanted to find the "
        "[right|best|perfect] present."
    )
    s.paragraph()
    coins = s.rng.randint(3, 9)
    if s.chance(0.6):
        cost = s.rng.randint(1, coins)
        s.say(
            f"{{A}} had {count(coins, 'coin')} in a {{c}} purse and went to the [shop|market|toy"
            " store].",
            (
                '{A.He} looked at {w0}. [It was nice, but not right.|"No," {A.he} thought.] '
                "Then {A.he} looked at {w1}, but {B} had no use for it."
            ),
        )
        s.say(
            "<later>, {A.he} saw {g}. [That was it|It was just right]! "
            f"It cost {count(cost, 'coin')}, so {{A.he}} had {count(coins - cost, 'coin')} left."
        )
    else:
        s.say(
            (
                "{A} had no [money|coins], so {A.he} [asked {A.his} uncle to help|decided to "
                "make something|worked in the garden of a neighbor to earn some]."
            ),
            (
                "[For {n} days|Every afternoon], {A.he} [worked hard|cut and glued|was busy "
                "in the shed], and nobody was allowed to look."
            ),
            n=number(s.rng.randint(2, 9)),
        )
        s.say(
            "{A.He} thought about {w0} and about {w1}, but {A.he} remembered what {B} "
            "[liked|was like]."
        )
    s.say("{A} wrapped the present in {c2} paper and [tied|closed] it with a [ribbon|string].")
    s.paragraph()
    s.say("[on {day}|when {day} came], {B} [took off|tore off] the {c2} paper. It was {g}!")
    s.say(
        '"<wow>! [This is just what I wished for|Now I can {use}]!" said {B}[|, and '
        "gave {A} a hug]."
    )
    s.say("[That very day|At once], {B.he} [began to|wanted to] {use}.")
    ending(s, s.pick(["friends", "kindness"]), 0.5)
