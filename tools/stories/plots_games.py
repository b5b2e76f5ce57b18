"""Plots of play: mixed-up things, hide and seek, a race."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import make_animal, make_friend, make_hero, number, plural


def mixed_up(s: Story) -> None:
    """Three friends, three things of one sort in three colours, are lost and found."""
    a = make_hero(s)
    noun = s.pick("kite hat scarf ball boat balloon umbrella bucket cap lantern mask coat".split())
    b = make_friend(s, a)
    c = make_friend(s, a, b)
    while c.name == b.name:
        c = make_friend(s, a, b)
    c1, c2, c3 = s.sample(words.COLOURS, 3)
    s.set(
        A=a,
        B=b,
        C=c,
        n=noun,
        ns=plural(noun),
        c1=c1,
        c2=c2,
        c3=c3,
        place=s.pick(words.OUTDOORS),
        spot=s.pick(words.WILD_SPOTS),
    )
    s.say(
        "[{A}, {B} and {C} were friends.|Three friends, {A}, {B} and {C}, <walked> "
        "to {place}.|<opening>, {A} met {B} and {C} near {place}.]"
    )
    s.say(
        "Each of them had a {n}[| that day|, all of the same size]. {A} had a {c1} "
        "{n}, {B.full} had a {c2} one, and the {n} of {C} was {c3}."
    )
    if s.chance(0.4):
        aside(s)
    s.say(
        "<suddenly>, [a strong wind blew|a storm came up|a big dog ran past|they all "
        "bumped into each other], and the three {ns} [flew away|fell to the ground|"
        "were gone]."
    )
    s.say('"[My {n}|Oh no|Help]!" <cried> {C}.')
    s.paragraph()
    order = s.sample([0, 1, 2], 3)
    who, col = [a.name, b.name, c.name], [c1, c2, c3]
    finder = s.pick([a, b, c])
    s.set(F=finder)
    s.say(
        (
            "[They looked and looked.|They ran after them.|All three began to look.] "
            "<later>, {F} found two {ns} {spot}: a {x} one and a {y} one."
        ),
        x=col[order[0]],
        y=col[order[1]],
    )
    lines = [
        f'"The {col[i]} one [belongs to|must be for|is for] {who[i]}," [said|<cried>] {{F}}.'
        if who[i] != finder.name
        else f'"The {col[i]} one is mine," [said|<cried>] {{F}}.'
        for i in order[:2]
    ]
    s.say(*lines)
    last = order[2]
    s.set(L=who[last], x=col[last])
    if who[last] == finder.name:
        s.say("But where was {F.his} own {n}, the {x} one?")
    else:
        s.say('"[And|But] where is mine?" asked {L}. The {x} {n} was still missing.')
    animal = s.pick(words.SMALL + words.BIRDS)
    s.say(
        f"<suddenly>, a little {animal} came along [and pulled|pulling] something {{x}} behind it."
    )
    s.say(
        f'It was the {{n}} of {{L}}! "[Thank you, little {animal}|There it is|How clever of you]!"'
        " <cried> {L}."
    )
    s.maybe(
        0.6,
        (
            "[So in the end|Now again], {A} had the {c1} {n}, {B} the {c2} one, and {C} "
            "the {c3} one."
        ),
    )
    s.maybe(
        0.3,
        (
            "[Then they swapped, just for fun: {A} took the {c3} {n}, {C} took the {c2} "
            "one, and {B} got the {c1} one.]"
        ),
    )
    ending(s, "friends", 0.5)


def hide_and_seek(s: Story) -> None:
    """A game: one counts, the others hide, and are found in some order."""
    a = make_hero(s)
    b = make_friend(s, a)
    c = make_friend(s, a, b)
    while c.name == b.name:
        c = make_friend(s, a, b)
    spots = s.sample(words.HIDING if a.child else words.WILD_SPOTS, 3)
    top = s.rng.randint(5, 20)
    s.set(
        A=a,
        B=b,
        C=c,
        sb=spots[0],
        sc=spots[1],
        wrong=spots[2],
        n=number(top),
        noise=s.pick(["a sneeze", "a giggle", "a small cough", "a soft laugh"]),
        showing=s.pick(["a foot", "a shoe", "the tip of an ear", "a bit of hair"]),
    )
    opening(s, a)
    s.say(
        "<opening>, {A} was playing hide and seek with {B} and {C}.",
        '"I will count to {n}," said {A} and closed {A.his} eyes.',
    )
    s.say("[Quick as the wind|On tiptoe|Without a sound], {B} hid {sb}, and {C} hid {sc}.")
    last = ", ".join(number(i) for i in range(top - 2, top))
    s.say(f'"... {last}, {{n}}! [Here I come|I am coming]!" <cried> {{A}}.')
    s.paragraph()
    s.say(
        "[First|At first], {A.he} looked {wrong}, but there was only [a cat|a spider|"
        "a beetle|an old shoe]."
    )
    first, second = s.sample(["B", "C"], 2)
    s.set(
        F=s.env[first],
        G=s.env[second],
        sf=s.env["s" + first.lower()],
        sg=s.env["s" + second.lower()],
    )
    s.say(
        'then {A} heard {noise}. {A.He} looked {sf} and found {F}! "You heard me," '
        "said {F}[| and laughed]."
    )
    s.say("Now only {G} was [missing|left]. {A} and {F} looked everywhere.")
    if s.chance(0.5):
        s.say('<later>, {F} saw {showing} {sg}. "There you are, {G}!" <cried> {A}.')
        s.say('"{F} was found first, so it is {F.his} turn to count," said {G}.')
    else:
        s.say(
            (
                '"[I give up|We give up]! Come out, {G}!" <cried> {A}. Out came {G}, who had '
                "been {sg} all the time."
            ),
            '"I won!" said {G}. "{F} was found first, so {F.he} must count now."',
        )
    s.maybe(
        0.5,
        ("So {F} closed {F.his} eyes and counted, and {A} hid {sb}, where {B} had been before."),
    )
    ending(s, "friends", 0.25)


def race(s: Story) -> None:
    """A boaster and a steady one race; who wins follows from what they do."""
    kinds = s.sample("rabbit fox horse deer hare goat dog pony cat".split(), 1)
    a = make_animal(s, kinds=kinds)
    b = make_animal(s, a, kinds="turtle snail hedgehog duck mole frog mouse".split())
    c = make_animal(s, a, b, kinds="crow owl badger pig sheep goose".split())
    goal = s.pick("the old oak|the mill|the bridge|the big rock|the well|the red barn".split("|"))
    s.set(A=a, B=b, C=c, goal=goal, food=s.pick(words.FRUITS_MANY))
    s.say(
        "{A} the {A.kind} was [fast|quick], and {A.he} told everybody so every day.",
        (
            '"[No one is as fast as I am|I can run faster than the wind|You are all so '
            'slow]," {A.he} said.'
        ),
    )
    s.say(
        (
            '{B} the {B.kind} [grew tired of it|had heard this too often]. "Let us race '
            'to {goal}," {B.he} said.'
        ),
        "{C} the {C.kind} [was the judge|was to call out the start].",
    )
    s.say(
        '"One, two, three, go!" <cried> {C}. {A} [shot away|was gone in a moment], '
        "while {B} [set off|began] slowly."
    )
    s.paragraph()
    lazy = s.chance(0.65)
    if lazy:
        stop = s.pick(
            [
                ("lay down to sleep", "was fast asleep", "woke up"),
                ("stopped to eat {food}", "was still eating {food}", "looked up"),
                (
                    "stopped to look at {A.him}self in the pond",
                    "was combing {A.his} hair",
                    "looked up",
                ),
            ]
        )
        s.set(x=s.expand(stop[0]), y=s.expand(stop[1]), z=stop[2])
        s.say(
            'Halfway, {A} looked back and saw nobody. "I have [plenty of|so much] time," '
            "{A.he} thought, and {A.he} {x}."
        )
        if s.chance(0.4):
            s.set(A=b)
            aside(s)
            s.set(A=a)
        s.say(
            "{B} [went on and on|did not stop|kept going, step by step], and passed {A}, who {y}.",
            (
                "when {A} {z}, {B} was almost at {goal}. {A} ran as fast as {A.he} could, "
                "but it was too late."
            ),
        )
        s.say('"{B} is first, and {A} is second!" <cried> {C}.')
        s.say(
            '{A} [hung {A.his} head|was quiet for once]. "You [won|were better], {B}," '
            '{A.he} said. "I will not boast again."'
        )
        ending(s, "pride", 0.75)
    else:
        s.say(
            (
                "{A} did not stop [even once|for anything]. but at the [river|stream] {A.he} "
                '[slipped and fell in|could not get across]. "Help!" {A.he} cried.'
            ),
            (
                "{B} came [at last|along]. {B.He} could have gone on to {goal}, but {B.he} "
                "stopped and [pulled {A} out|held out a stick to {A}|showed {A} the stones "
                "where one can cross]."
            ),
        )
        s.say(
            '[side by side|together], they walked to {goal}. "You are both first!" said {C}.',
            '"No," said {A}. "{B} [is the winner|won], because {B.he} stopped [to help|for me]."',
        )
        ending(s, "kindness", 0.7)
