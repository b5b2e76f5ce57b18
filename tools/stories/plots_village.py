"""Plots in the village: the market, wishes, letters, riddles."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import (
    count,
    elder,
    make_animal,
    make_child,
    make_friend,
    make_hero,
    make_thing,
    parent_of,
)


def market(s: Story) -> None:
    """Buying with coins: sums that come out, and one kind decision."""
    a = make_child(s)
    coins = s.rng.randint(5, 12)
    p1 = s.rng.randint(1, 3)
    p2 = s.rng.randint(1, coins - p1 - 1)
    x, y = s.sample(words.FRUITS_MANY + words.VEGETABLES_MANY, 2)
    left = coins - p1 - p2
    s.set(
        A=a,
        P=parent_of(s, a),
        E=elder(s),
        all=count(coins, "coin"),
        p1=count(p1, "coin"),
        p2=count(p2, "coin"),
        mid=count(coins - p1, "coin"),
        left=count(left, "coin"),
        x=x,
        y=y,
        o=make_thing(s, words.TOYS),
        bag=make_thing(s, ["bag", "basket"]),
    )
    opening(s, a)
    s.say(
        '<opening>, {P} gave {A} {all} and {bag.a}. "Please buy some {x} and some '
        '{y} [at the market|for supper]," {P.he} said.'
    )
    s.say("{A} <walked> to the market[| with {A.his} head up high| and held the coins tightly].")
    if s.chance(0.4):
        aside(s)
    s.paragraph()
    s.say("[First|To begin with], {A.he} bought the {x}. They cost {p1}, so {A.he} had {mid} left.")
    s.say(
        "[Then|Next] {A.he} bought the {y} for {p2}. Now there "
        + ("was" if left == 1 else "were")
        + " {left} in {A.his} hand."
    )
    s.say(
        "In the toy shop {A.he} <saw> {o.a}. It cost {cost}. How {A.he} wanted it!",
        cost=count(left, "coin"),
    )
    choice = s.rng.randrange(3)
    if choice == 0:
        s.say(
            (
                "but then {A.he} saw an old [man|woman] who had no [bread|coat|shoes]. {A} "
                "gave away {left}."
            ),
            (
                '"<thanks>, my child," said the old one. "[You have a good heart|May it come '
                'back to you]."'
            ),
        )
        s.say(
            'At home, {A} told what {A.he} had done. {P} <smiled>. "[You did right|That '
            'was kind]," {P.he} said.'
        )
        s.maybe(
            0.5,
            (
                "[On {A.his} birthday|A week later], {A} [got|found] {o.a} [on {A.his} bed|"
                "by {A.his} plate]."
            ),
        )
        kind = "kindness"
    elif choice == 1:
        s.say(
            (
                '["It is not my money," {A.he} thought|"I must ask first," {A.he} thought], '
                "and {A.he} went home."
            ),
            '"Here are the {x}, here are the {y}, and here '
            + ("is" if left == 1 else "are")
            + ' {left}," {A.he} said.',
            (
                '"[You counted well|You are honest]," said {P}. "[What is left is for you|'
                'Keep the rest]!"'
            ),
        )
        s.say("{A} ran back to the toy shop, and {o.the} was still there.")
        kind = "truth"
    else:
        s.say(
            '{A} bought it [at once|right away] and ran home. "Where '
            + ("is the last coin" if left == 1 else "are the last coins")
            + '?" asked {P}.',
            (
                '{A} [looked down|turned red] and [showed|held up] the {o.short}. "I should '
                'have asked you," {A.he} <whispered>.'
            ),
        )
        s.say(
            '"[Yes, you should|That is true]," said {P}. "[Tomorrow you will work for it|'
            'You can help me in the garden to pay for it]." {A} did, and then the {o} '
            "was [really|truly] {A.hers}."
        )
        kind = "truth"
    ending(s, kind, 0.5)


def wishes(s: Story) -> None:
    """Three wishes: the second goes wrong, the third must undo it."""
    a = make_hero(s)
    giver = s.pick(
        [
            "a golden fish",
            "a tiny fairy",
            "an old frog with a crown",
            "a talking tree",
            "a silver bird",
            "a star that had fallen down",
        ]
    )
    first = s.pick(
        [
            ("a mountain of {f}", "there was so much of it that nobody could open the door"),
            ("that it would never be night", "nobody could sleep, not even the owls"),
            ("to be as tall as a tree", "{A.he} could not go into the house"),
            ("that everything {A.he} touched would turn {c}", "even the cat and the soup were {c}"),
            ("that it would snow every day", "the garden was gone under the snow"),
            ("that all toys could speak", "they talked so loud that no one could think"),
            ("to fly like a bird", "{A.he} could not come down again"),
        ]
    )
    small = make_thing(s, words.TOYS + words.WEARABLES)
    s.set(
        A=a,
        G=giver,
        f=s.pick(words.FOODS[:10]),
        c=s.pick(words.COLOURS),
        o=small,
        P=parent_of(s, a),
        place=s.pick(words.OUTDOORS[:12]),
    )
    s.set(
        w=s.expand(first[0]),
        bad=s.expand(first[1]),
        gs=" ".join(giver.split()[1:]).split(" with")[0].split(" that")[0],
    )
    opening(s, a)
    s.say("<opening>, near {place}, {A} [helped|freed] {G}.")
    s.say(
        '"[Because you were kind|For that], you have three wishes," said the {gs}. '
        '"[Be careful|Think well]!"'
    )
    s.say(
        "First, {A} wished for {o.a}, and there it was[|, as good as new|, right in {A.his} hands]."
    )
    s.paragraph()
    s.say(
        "Then {A} [grew greedy|wanted more]. {A.He} wished {for_w}.",
        "And [so it was|it came true]! but <later>, {bad}.",
        for_w="for " + s.env["w"] if s.env["w"].startswith("a ") else s.env["w"],
    )
    s.say(
        '{P} [was <sad>|did not know what to do|cried]. "[What have you done|What is '
        'this]?" {P.he} asked.'
    )
    s.say(
        "{A} had only one wish left. {A.He} could have had [a castle|a ship|a crown|"
        'a bag of gold], but {A.he} <whispered>, "[I wish that all were as before|'
        'Please make it as it was]."'
    )
    s.say(
        "At once everything was [normal|as before]. Only the {o.short} was still "
        "there[|, lying on the floor]."
    )
    s.maybe(0.5, '"The first wish was the best one," said {A}.')
    ending(s, "enough", 0.5)


_SCENTS = {
    "baker": "bread",
    "painter": "paint",
    "gardener": "roses",
    "fisher": "fish",
    "tailor": "cloth",
    "doctor": "soap",
}


def letters(s: Story) -> None:
    """Letters for houses with coloured doors; the wind or a dog confuses the helper."""
    a = make_hero(s)
    e1, e2, e3 = elder(s), elder(s), elder(s)
    while e2.name == e1.name:
        e2 = elder(s)
    while e3.name in (e1.name, e2.name):
        e3 = elder(s)
    c1, c2, c3 = s.sample(words.COLOURS[:8], 3)
    news = s.pick(
        [
            "a new baby in the family",
            "a party on <days>",
            "a visit from an old friend",
            "a lost dog that was found",
            "a prize for the best garden",
        ]
    )
    s.set(A=a, X=e1, Y=e2, Z=e3, c1=c1, c2=c2, c3=c3, news=s.expand(news))
    opening(s, a)
    s.say(
        "<opening>, the postman had hurt his [foot|leg], and {A} wanted to [help him|"
        "bring the letters instead]."
    )
    s.say(
        '"There are three letters," [he|the postman] said. "{X} lives behind the '
        '{c1} door, {Y} behind the {c2} door, and {Z} behind the {c3} one."'
    )
    if s.chance(0.4):
        aside(s)
    s.say(
        "{A} [knocked|rang] at the {c1} door. {X} [opened|came out] and was <happy> "
        "to get a letter."
    )
    s.paragraph()
    if s.chance(0.5):
        s.say(
            (
                "Then it [rained|began to rain], and the ink ran, so that {A} could not read "
                "the other names."
            ),
            '"What did he say?" {A.he} thought.',
            "{A.He} looked for the small signs: the next letter smelled of {scent}.",
            "It must be for the {Y.kind}! So {A} went to the {c2} door, and {Y} took the letter.",
            scent=_SCENTS.get(e2.kind, "books"),
        )
    else:
        s.say(
            (
                'At the {c3} door {A} held out the wrong letter. "This is not for me," said '
                '{Z}. "It is for {Y}."'
            ),
            (
                '"[Oh, I am sorry|My mistake]," said {A}, and gave {Z} the right one. Then '
                "{A.he} ran to the {c2} door."
            ),
        )
        s.say(
            "{Y} [read the letter|opened it] and [laughed|cried out with joy]. It told of {news}."
        )
    if s.chance(0.5):
        s.say(
            '[In the evening|At the end], the postman asked, "Who lives behind the {c3} '
            'door?" "{Z}, the {Z.kind}," said {A}. "[I will never forget it|I know them '
            'all now]."'
        )
    else:
        s.say(
            "[In the evening|At the end], the postman [gave|lent] {A} his [old|blue] "
            'cap. "You brought all three," he said. "[Well done|You are a real helper '
            'now]."'
        )
    ending(s, "help", 0.4)


def puzzle(s: Story) -> None:
    """An owl asks riddles; the answers belong together with a prize."""
    riddles = [
        ("What has hands but cannot clap", "a clock"),
        ("What has teeth but cannot bite", "a comb"),
        ("What has legs but cannot walk", "a table"),
        ("What gets wetter the more it dries", "a towel"),
        ("What has one eye but cannot see", "a needle"),
        ("What falls but never gets hurt", "the rain"),
        ("What runs but has no feet", "the river"),
        ("What has a neck but no head", "a bottle"),
        ("What has ears but cannot hear", "corn"),
        ("What can you catch but not throw", "a cold"),
        ("What goes up but never comes down", "your age"),
        ("What is full of holes but holds water", "a sponge"),
        ("What has words but never speaks", "a book"),
        ("What has keys but opens no door", "a piano"),
    ]
    a = make_hero(s)
    b = make_friend(s, a)
    c = make_animal(s, a, b, kinds=["owl", "crow", "turtle", "badger"])
    (q1, r1), (q2, r2) = s.sample(riddles, 2)
    wrong = s.pick([r for _, r in riddles if r not in (r1, r2)])
    s.set(
        A=a,
        B=b,
        C=c,
        q1=q1,
        q2=q2,
        r1=r1,
        r2=r2,
        w=wrong,
        prize=make_thing(s, words.TREASURES),
        place=s.pick(words.OUTDOORS),
    )
    opening(s, a)
    s.say("<opening>, {A} and {B} <went> to {place}. There sat {C}, the old {C.kind}.")
    s.say('"If you want my {prize.short}, you must answer two [riddles|questions]," said {C}.')
    s.say(
        '"{q1}?"',
        ('{A} thought [hard|for a long time]. "Is it {w}?" asked {B}. "No," said the {C.kind}.'),
        (
            '{A} looked [up at the sky|at {A.his} feet] and [then|] {A.he} knew. "It is '
            '{r1}!" {A.he} <cried>.'
        ),
    )
    s.paragraph()
    s.say('"[Right|Good|That is true]," said {C}. "Now the second one. {q2}?"')
    if s.chance(0.5):
        s.say('This time it was {B} who [laughed|jumped up]. "That is easy! It is {r2}!"')
        s.say('"{A} said {r1}, and {B} said {r2}," said {C}. "You are [both|] clever."')
        s.say("{C.He} gave them {prize.the}, and they took turns with it.")
    else:
        s.say('{A} whispered to {B}, and {B} whispered to {A}. then they said together, "{r2}!"')
        s.say(
            "{C} [clapped {C.his} wings|nodded slowly]."
            if c.kind in ("owl", "crow")
            else "{C} nodded slowly.",
            '{C.He} gave them {prize.the}. "It is for [the two of you|you both]," {C.he} said.',
        )
    s.maybe(
        0.5,
        (
            '[At home|Later], {A.his} mom asked, "Where did you get {prize.a}?" "From '
            '{C} the {C.kind}," said {A}. "We had to think of {r1} and {r2}."'
        ),
    )
    ending(s, "thinking", 0.4)
