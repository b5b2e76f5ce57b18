"""Plots with animals: a chain of favours, a rescue, a lost baby."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import make_animal, make_child, make_hero, number, parent_of


def chain(s: Story) -> None:
    """Everyone wants something from the next one; then all is handed back along the chain."""
    a = make_hero(s)
    wants = {
        "cow": ("some milk", "some fresh grass"),
        "hen": ("an egg", "a handful of corn"),
        "bee": ("some honey", "a red flower"),
        "sheep": ("some wool", "a blue ribbon"),
        "miller": ("a bag of flour", "a new broom"),
        "squirrel": ("a nut", "a soft leaf"),
        "baker": ("a loaf of bread", "some dry wood"),
        "goat": ("a bit of cheese", "a cabbage"),
        "spider": ("a strong thread", "a dry leaf"),
        "crow": ("a black feather", "a shiny button"),
        "duck": ("a soft feather", "a slice of bread"),
        "farmer": ("a pumpkin", "a sharp knife"),
        "beaver": ("a piece of wood", "a fish"),
        "mouse": ("a crumb of cake", "a bit of string"),
    }
    k1, k2, k3 = s.sample(list(wants), 3)
    final = wants[k3][1]
    goal = wants[k1][0]
    where = s.pick(words.OUTDOORS)
    s.set(
        A=a,
        P=parent_of(s, a),
        k1=k1,
        k2=k2,
        k3=k3,
        g1=goal,
        g2=wants[k2][0],
        g3=wants[k3][0],
        w3=final,
        where=where,
    )
    opening(s, a)
    s.say("<opening>, {A} needed {g1} for {P}[|, who was ill in bed|, who was making a surprise].")
    s.say(
        'So {A.he} went to the {k1}. "Please give me {g1}," {A.he} said.',
        '"[I will|Gladly], if you bring me {g2}," said the {k1}.',
    )
    s.say(
        'So {A} went to the {k2} and asked for {g2}. "[I will give it to you|You '
        'shall have it], if you bring me {g3}," said the {k2}.'
    )
    s.say(
        'So {A} went to the {k3} and asked for {g3}. "[Yes|Well], but first I want '
        '{w3}," said the {k3}.'
    )
    s.paragraph()
    if s.chance(0.4):
        aside(s)
    s.say(
        "{A} [looked all around|thought and thought]. Near {where}, {A.he} found "
        "{w3}[| at last| by good luck]."
    )
    d = {
        f"d{i}": "the " + s.env[x].split(" ", 1)[1] for i, x in enumerate(["g1", "g2", "g3", "w3"])
    }
    s.set(**d)
    s.say(
        "{A.He} brought {d3} to the {k3}, and the {k3} gave {A.him} {g3}.",
        "{A.He} [took|brought] {d2} to the {k2}, and the {k2} gave {A.him} {g2}.",
        "{A.He} [took|brought] {d1} to the {k1}, and the {k1} [gave {A.him}|handed {A.him}] {g1}.",
    )
    s.say(
        "[At last|So in the end|Now], {A} could bring {d0} [home|to {P}].",
        '"That took a long time," said {P}. "What happened?"',
    )
    s.say(
        '"It was [simple|a long way]," <said> {A}. "The {k1} wanted {g2}, the {k2} '
        'wanted {g3}, and the {k3} wanted {w3}."'
    )
    ending(s, s.pick(["patience", "help"]), 0.5)


def rescue(s: Story) -> None:
    """A small and a big animal; the big one spares or helps the small, which repays it."""
    big = make_animal(s, kinds=words.BIG)
    small = make_animal(s, big, kinds=words.SMALL)
    a, b = small, big
    trap = s.pick(
        [
            ("was caught in a net", "bit through the rope", "net"),
            ("fell into a deep hole", "fetched a long branch", "hole"),
            ("had a thorn in {B.his} foot", "pulled it out", "thorn"),
            ("got stuck in the mud", "called all the animals to pull", "mud"),
            ("was locked in a cage", "found the key and opened the door", "cage"),
        ]
    )
    s.set(
        A=a,
        B=b,
        stuck=s.expand(trap[0], A=a, B=b),
        did=trap[1],
        trap=trap[2],
        place=s.pick(words.OUTDOORS),
        n=number(s.rng.randint(2, 9)),
    )
    s.say(
        "{B} the {B.kind} was [big and strong|the strongest of all|so big that the "
        "ground shook when {B.he} walked]. {A} the {A.kind} was [small|tiny|no "
        "bigger than a leaf]."
    )
    s.say(
        "<opening>, near {place}, {A} [fell into the water|could not cross the "
        "stream|was chased by a hawk|had hurt {A.his} leg]."
    )
    s.say('"[Help me|Please help], {B}!" <cried> {A}.')
    s.say(
        "{B} [stopped|bent down] and [carried {A} home on {B.his} back|lifted {A} up "
        "with great care|let {A} hide behind {B.him}]."
    )
    s.say(
        '"<thanks>," said {A}. "[One day|Some day] I will help you, too."',
        '{B} [laughed|smiled]. "How could a little {A.kind} help a {B.kind}?"',
    )
    s.paragraph()
    s.say(
        "[But {n} days later|Before the week was over], {B} {stuck}. {B.He} [pulled "
        "and pulled|cried out|tried everything], but it was no use."
    )
    if s.chance(0.3):
        aside(s)
    s.say(
        "{A} heard {B.his} voice [from far away|across the hills] and came running. "
        '["Hold still," {A.he} said.|"Now it is my turn," said the {A.kind}.]'
    )
    s.say(
        "The little {A.kind} {did}[|, though it took all night|, little by little], "
        "and {B} was {end}.",
        end="well again" if trap[2] == "thorn" else "free",
    )
    s.say(
        '"I laughed at you," said {B}. "And I was wrong. [You are small, but you are '
        'a great friend|Even a {A.kind} can help a {B.kind}]."'
    )
    ending(s, "kindness", 0.7)


def lost_baby(s: Story) -> None:
    """A baby animal describes its mother; wrong ones are met before the right one."""
    a = make_child(s)
    baby, mother = s.pick(
        [
            ("puppy", "dog"),
            ("kitten", "cat"),
            ("lamb", "sheep"),
            ("duckling", "duck"),
            ("chick", "hen"),
            ("calf", "cow"),
            ("foal", "horse"),
            ("cub", "bear"),
            ("piglet", "pig"),
            ("fawn", "deer"),
        ]
    )
    colour, wrong1, wrong2 = s.sample(["brown", "white", "black", "grey", "yellow"], 3)
    mark, no1, no2 = s.sample(
        [
            "a white spot on her nose",
            "a long tail",
            "a bell around her neck",
            "one black ear",
            "stripes on her back",
            "a blue ribbon",
            "big round eyes",
            "a curly tail",
            "short legs",
        ],
        3,
    )
    places = s.sample(words.OUTDOORS, 3)
    s.set(
        A=a,
        baby=baby,
        mo=mother,
        c=colour,
        w1=wrong1,
        w2=wrong2,
        m=mark,
        no1=no1,
        no2=no2,
        p0=places[0],
        p1=places[1],
        p2=places[2],
        he=s.pick(["he", "she"]),
    )
    opening(s, a)
    s.say(
        "<opening>, on the way to {p0}, {A} heard [a soft cry|a tiny voice|someone "
        "crying]. It was a little {baby}."
    )
    s.say(
        '"I have lost my mother," [cried|said] the {baby}. "She is {c} and has {m}."',
        '"[Do not cry|Do not be afraid]," said {A}. "[We will find her|I will help you]."',
    )
    s.paragraph()
    s.say(
        "They went to {p1} and [saw|met] a {mo}. But this {mo} was {w1}[| and had "
        '{no1}]. "That is not my mother," said the {baby}.'
    )
    if s.chance(0.35):
        aside(s)
    s.say(
        (
            "They [walked on|went on] to {p2}. [There stood|There was] another {mo}. She "
            "was {x}, but she had {y}."
        ),
        x=colour if s.chance(0.5) else wrong2,
        y=no2,
    )
    s.say('"[Not her either|No, no]," <whispered> the {baby}. "My mother has {m}."')
    s.say(
        "<suddenly>, a {c} {mo} came running [over the hill|along the road|out of "
        "the trees]. She had {m}!"
    )
    s.say(
        '"[Mother|There she is]!" <cried> the {baby}[| and jumped with joy].',
        (
            "The {mo} [licked|kissed] her baby [again and again|and would not let go]. "
            '"<thanks>, {A}," she said. "[I looked everywhere|I was at {p0} and could '
            'not find my little one]."'
        ),
    )
    ending(s, "kindness", 0.5)
