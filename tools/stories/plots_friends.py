"""Plots between friends: sharing, a newcomer, a repair, a show."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import (
    Thing,
    count,
    make_child,
    make_friend,
    make_hero,
    make_thing,
    number,
    parent_of,
    plural,
)


def sharing(s: Story) -> None:
    """Counted things are shared, or first kept and then shared."""
    a = make_hero(s)
    b = make_friend(s, a)
    fruit = s.pick([*words.FRUITS, "nut", "cookie", "pancake", "carrot", "muffin"])
    half = s.rng.randint(1, 6)
    s.set(
        A=a,
        B=b,
        all=count(2 * half, fruit),
        each=count(half, fruit),
        fruits=plural(fruit),
        half=number(half),
        place=s.pick(words.OUTDOORS),
        box=make_thing(s, ["basket", "bag", "box"]),
    )
    opening(s, a)
    s.say("<opening>, {A} [went to|walked to|was on the way to] {place} with {all} in {box.a}.")
    if s.chance(0.4):
        aside(s)
    s.say(
        (
            "[There|Near {place}|Under a tree] {A.he} met {B}[, a {B.trait} {B.kind}|, "
            "{A.his} friend|]."
        ),
        "{B} [looked hungry|had nothing to eat|had lost {B.his} lunch|looked at the {box.short}].",
    )
    s.say('"[What do you have there|May I have some|Could I have one], {A}?" <asked> {B}.')
    s.paragraph()
    if s.chance(0.5):
        s.facts["shared"] = "at once"
        s.say(
            (
                '"[Sure|Of course|Yes]! I have {all}," said {A}. "If we share, [you get|each '
                'of us gets] {half}."'
            ),
            (
                "They sat down and [counted|counted them out together]: {each} for {A} and "
                "{each} for {B}."
            ),
        )
        s.say(
            '"<thanks>," said {B}. "[You are a good friend|Now I am not hungry any more|'
            'They taste better when we eat them together]."'
        )
    else:
        s.facts["shared"] = "late"
        s.say(
            (
                '"No, [they are all mine|I want to eat them myself|go away]," said {A} and '
                "[ran off|walked on|turned away]."
            ),
            "{B} [said nothing|felt <sad>|sat down on a stone].",
        )
        s.say(
            "{A} [sat|hid] behind a tree and ate and ate, until {A.his} belly [hurt|was full].",
            (
                "[But eating alone was no fun.|{A.He} still had some {fruits} left, but no "
                "one to play with.|Then {A.he} heard {B} crying.]"
            ),
        )
        s.say(
            '{A} went back to {B}. "I am sorry," {A.he} <whispered>. "[Please take the '
            'rest|Here, these are for you|Let us share what is left]."'
        )
        s.say(
            '"[That is kind of you|I am not angry any more|<thanks>]," said {B}, and '
            "they ate together."
        )
    s.maybe(
        0.5,
        (
            "[the next day|a few days later], it was {B} who had {gift}, and {B.he} gave "
            "[half|the biggest piece] to {A}."
        ),
        gift=s.pick(["a cake", "a big pie", "a melon", "a sandwich", "some fresh bread"]),
    )
    ending(s, "sharing")


def newcomer(s: Story) -> None:
    """A shy newcomer and the hero find that they like the same thing."""
    a = make_child(s)
    b = make_child(s, a)
    like = s.pick(
        [
            ("horses", "a drawing of a horse", "draw horses"),
            ("trains", "a small red train", "build a long track"),
            ("the stars", "a book about the moon", "look for stars"),
            ("bugs", "a jar with a beetle", "look for ants and beetles"),
            ("boats", "a paper boat", "sail boats on the pond"),
            ("stories", "a thick book", "read under the big tree"),
            ("shells", "a bag of shells", "go to the beach"),
            ("music", "a wooden flute", "play songs"),
            ("dogs", "a picture of a puppy", "walk the dog"),
        ]
    )
    s.set(
        A=a,
        B=b,
        like=like[0],
        thing=like[1],
        do=like[2],
        day=s.pick(words.DAYS[:5]),
        seat=s.pick(["by the window", "in the last row", "near the door", "under a tree"]),
    )
    opening(s, a)
    s.say("[More than anything|Most of all], {A.he} liked {like}.")
    s.say(
        "on {day}, a new {B.kind} came to school. {B.His} name was {B}. {B.He} [sat "
        "alone|sat down] {seat} and did not [speak|say a word]."
    )
    s.say(
        "[Some children laughed|No one talked to {B.him}], because {B.he} [came from "
        "far away|had a funny hat|spoke very softly|was so shy]."
    )
    s.paragraph()
    s.say(
        "[{A} remembered {A.his} own first day.|{A} felt sorry for {B.him}.] At "
        'lunch, {A.he} went to the place {seat}. "[May I sit here|Is this seat '
        'free]?" {A.he} asked.'
    )
    s.say(
        "{B} nodded[| but looked at the floor]. Then {A} saw {thing} in {B.his} bag. "
        '"<wow>! Do you like {like}, too?"'
    )
    s.say(
        '"[Yes|I do]," <whispered> {B}, and for the first time, {B.he} smiled. '
        '"[Where I come from|At my old school], no one else did."'
    )
    s.say('"[Come with me|Let us meet] after school," said {A}. "We can {do}."')
    s.paragraph()
    s.say(
        "[From {day} on|After that], {A} and {B} were always together. [Soon the "
        "others wanted to join them.|The seat {seat} was never empty again.|They "
        "would {do} until the sun went down.]"
    )
    ending(s, "friends")


def repair(s: Story) -> None:
    """A part of a thing breaks; friends with three tools mend it."""
    a = make_hero(s)
    b = make_friend(s, a)
    c = make_friend(s, a, b)
    while c.name == b.name:
        c = make_friend(s, a, b)
    noun, part, fix = s.pick(
        [
            ("wagon", "wheel", "turned"),
            ("kite", "tail", "flew"),
            ("boat", "sail", "sailed"),
            ("train", "wheel", "rolled"),
            ("clock", "hand", "ticked"),
            ("swing", "rope", "held"),
            ("sled", "runner", "slid"),
            ("bicycle", "chain", "ran"),
            ("drum", "skin", "boomed"),
            ("chair", "leg", "stood"),
            ("robot", "arm", "moved"),
            ("puppet", "string", "danced"),
        ]
    )
    o = Thing(noun, s.pick(words.LOOKS), s.pick(words.COLOURS))
    tools = s.sample(
        [
            "a hammer",
            "some glue",
            "two nails",
            "a piece of string",
            "a pair of scissors",
            "a bit of wire",
            "some tape",
            "a strong rope",
            "a little oil",
            "a needle",
        ],
        3,
    )
    s.set(
        A=a,
        B=b,
        C=c,
        o=o,
        part=part,
        fix=fix,
        ta=tools[0],
        tb=tools[1],
        tc=tools[2],
        P=parent_of(s, a),
    )
    opening(s, a)
    s.say(
        "{A} had {o.a}. <opening>, [it hit a stone|it fell down the stairs|{A} was "
        "too wild with it], and the {part} [broke|came off]."
    )
    s.say(
        '{A} [sat down and cried|was <sad>]. "My {o.short} [will never work again|is '
        'broken]," {A.he} said.'
    )
    s.paragraph()
    s.say(
        (
            '"Do not cry," said {B}, [who was passing by|{A.his} friend]. "[Maybe|I '
            'think] we can fix the {part}. I have {tb}."'
        ),
        '"And I have {tc}," said {C}.',
        '"My {P.kind} [has|keeps] {ta} in the shed," said {A}[| and dried {A.his} eyes].',
    )
    if s.chance(0.35):
        aside(s)
    s.say(
        "{A} held the {o} still. {B} used {tb}, and {C} helped with {tc}. [It was "
        "not easy.|It took a long time.|Twice it went wrong.] Then, with {ta}, the "
        "{part} [stayed|was] in its place again."
    )
    s.say("They [tried it|tested it], and the {o} {fix} [again|as good as new|better than before]!")
    s.say(
        '"[I could not have done it without you|You saved my {o.short}]," said {A}. '
        '"<thanks>, {B} and {C}!"'
    )
    s.maybe(
        0.4,
        (
            '{P} came out of the house. "Who fixed the {part}?" {P.he} asked. "We all '
            'did," said {A}.'
        ),
    )
    ending(s, "help")


def show(s: Story) -> None:
    """Practising for a show: bad at first, better day by day, nervous, and a success."""
    a = make_hero(s)
    b = make_friend(s, a)
    act = s.pick(
        [
            ("play the flute", "played", "flute"),
            ("play the drum", "played", "drum"),
            ("juggle", "juggled", "balls"),
            ("dance", "danced", "shoes"),
            ("sing", "sang", "song"),
            ("play the violin", "played", "violin"),
            ("skate", "skated", "skates"),
            ("ride a bicycle", "rode", "bicycle"),
            ("swim", "swam", "water"),
            ("jump over the rope", "jumped", "rope"),
            ("tell jokes", "told jokes", "jokes"),
        ]
    )
    d1, d2, d3 = (words.DAYS[i] for i in sorted(s.sample(list(range(7)), 3)))
    s.set(A=a, B=b, act=act[0], did=act[1], thing=act[2], d1=d1, d2=d2, d3=d3, P=parent_of(s, a))
    opening(s, a)
    s.say("{A.He} wanted to {act} in the [big show|school show|village show] on {d3}.")
    s.say(
        "on {d1}, {A} [tried|practiced] for the first time, and [it went badly|"
        'everything went wrong|the cat ran out of the room]. "I [cannot|will never '
        'learn to] {act}," {A.he} said.'
    )
    s.say(
        '"[Not yet|Try again|Nobody can at first]," said {P}. "[A little every day '
        'is enough|Go slowly]."'
    )
    s.say(
        "so {A} {did} every [morning|evening|day], and on {d2} it was [already|] "
        "[much|a little] better."
    )
    s.paragraph()
    s.say(
        "[then came {d3}|at last, it was {d3}]. {A} looked at all the [people|faces] "
        "and felt <scared>. {A.His} [knees|hands] were shaking."
    )
    s.say(
        '"[Look only at me|I will sit in the first row|Do you remember {d1}? You '
        'have come so far]," <whispered> {B}.'
    )
    s.say(
        "{A} [took a deep breath|closed {A.his} eyes] and {did}, [just as|as well "
        "as] on the best days. [Once {A.he} made a mistake, but {A.he} went on.|]"
    )
    s.say(
        (
            "When it was over, everybody [clapped|stood up and clapped]. {P.full} "
            "clapped the [loudest|longest]."
        )
        if s.chance(0.5)
        else 'When it was over, {B} <cried>, "[Well done|Hooray], {A}!"'
    )
    ending(s, "practice", 0.7)
