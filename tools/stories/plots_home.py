"""Plots at home: a lost thing, three tasks, a broken vase."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening
from stories.world import make_child, make_friend, make_hero, make_thing, number, parent_of, plural


def lost_thing(s: Story) -> None:
    """A toy is lost, looked for in several places, found where it had been left."""
    a = make_hero(s)
    s.set(A=a, P=parent_of(s, a), B=make_friend(s, a))
    o = make_thing(s, words.TOYS + words.WEARABLES + words.KEEPSAKES)
    spots = s.sample(words.SPOTS if a.child else words.WILD_SPOTS, 4)
    s.set(o=o, s0=spots[0], s1=spots[1], s2=spots[2], s3=spots[3])
    opening(s, a)
    giver = s.pick(["{P}", "{A.his} uncle", "{A.his} aunt", "a friend"])
    s.say(
        f"{{A}} had {{o.a}}[| that {giver} had given {{A.him}}], and {{A.he}} took it everywhere."
    )
    s.maybe(
        0.5,
        (
            "<opening>, {A} [played|sat|stopped to rest] {s3}[ with the {o.short}|] "
            "until {P} called {A.him} [for lunch|to come in]."
        ),
    )
    s.paragraph()
    s.say(
        "[the next day|later that day|on <days>|in the evening], {A} [could not find|"
        "was missing] the {o}."
    )
    s.say('"[Where is|Has anyone seen|Who has taken] my {o.short}?" {A.he} <cried>.')
    s.say("{A.He} looked {s0}, but [it was not there|there was [only dust|nothing]].")
    s.say(
        "[then|next] {A.he} looked {s1}, [but it was not there either|and found only "
        "an old sock|but there was no {o}]."
    )
    if s.chance(0.4):
        aside(s)
    helper = s.pick(["P", "B"])
    who = "{P}" if helper == "P" else "{B}"
    if helper == "B":
        s.say(
            "{A.His} friend {B} came to help."
            if s.env["B"].child
            else "{B} the {B.kind} came to help."
        )
    s.say(
        '"[Where did you last have it|Where were you when you had it last|Where have you been'
        f' today]?" <asked> {who}.'
    )
    s.paragraph()
    if s.chance(0.6):
        s.say('{A} thought [hard|for a moment|about the day before]. "I was {s3}!" {A.he} <said>.')
        s.say("They [ran|went|hurried] there together, and there [it was|lay {o.the}]!")
    else:
        s.say(f'<later>, {who} looked {{s3}} and [smiled|laughed]. "Is this your {{o.short}}?"')
        s.say("It was {o.the}[|, just as {A} had left it|, a little [dirty|wet|dusty]]!")
    s.say(
        '{A} was <happy>. "<thanks>, '
        + ("{P.call}" if helper == "P" else "{B}")
        + '," {A.he} said.'
    )
    s.maybe(
        0.5,
        f'"[It was|I found it|So it was] {{s3}}[, after all| all the time|]," said {who}. '
        "[From then on, {A} always put the {o} back in its place.|]",
    )
    ending(s, "care", 0.5)


_TASKS = [
    ("feed the {pet}", "fed the {pet}"),
    ("water the {flowers}", "watered the {flowers}"),
    ("sweep the [floor|porch|kitchen]", "swept it"),
    ("wash the [plates|cups|dishes]", "washed them"),
    ("make the bed", "made the bed"),
    ("bring in some wood", "brought in some wood"),
    ("pick the {fruit}", "picked the {fruit}"),
    ("post a letter", "posted the letter"),
    ("fold the blankets", "folded the blankets"),
    ("carry the {veg} to the cellar", "carried the {veg} to the cellar"),
    ("fetch a loaf of bread", "fetched a loaf of bread"),
    ("shut the gate", "shut the gate"),
    ("find the {o.short}", "found the {o.short}"),
    ("brush the [pony|dog]", "brushed it well"),
]


def three_tasks(s: Story) -> None:
    """Three jobs in an order; one may be forgotten and remembered."""
    a = make_hero(s)
    s.set(A=a, P=parent_of(s, a), o=make_thing(s, words.KEEPSAKES + words.TOOLS))
    s.set(
        pet=plural(s.pick("hen duck goat rabbit cat sheep".split())),
        flowers=plural(s.pick(words.FLOWERS[:6])),
        fruit=s.pick(words.FRUITS_MANY),
        veg=s.pick(words.VEGETABLES_MANY),
        reward=s.pick(words.FOODS[:10] + words.FRUITS),
    )
    tasks = [(s.expand(x), s.expand(y)) for x, y in s.sample(_TASKS, 3)]
    # In "A and B", the second wording needs an object that the first has named.
    bare = {"swept it": "swept", "washed them": "washed up", "brushed it well": "brushed well"}
    t = [todo for todo, _ in tasks]
    d = [bare.get(done, done) for _, done in tasks]
    s.set(t0=t[0], t1=t[1], t2=t[2], d0=d[0], d1=d[1], d2=d[2])
    opening(s, a)
    s.say('<opening>, {P} had [a lot of|much] work. "{A}, please help me today," {P.he} said.')
    s.say('"First {t0}, then {t1}, and [last of all|at the end] {t2}."')
    s.say('"[Yes|Of course], {P.call}," said {A}[| with a smile| and jumped up].')
    s.paragraph()
    if s.chance(0.4):
        aside(s)
    if s.chance(0.5):
        s.say("[so|first] {A} {d0}.", "[then|after that|next] {A.he} {d1}.")
        b = make_friend(s, a)
        s.set(B=b)
        s.say(
            (
                '[just then|then] {B} came by. "[Come and play|Let us go and play|Come to '
                '{place}], {A}!" {B.he} <cried>.'
            ),
            place=s.pick(words.OUTDOORS),
        )
        if s.chance(0.5):
            s.say(
                '"Not yet," <said> {A}. "I [must still|still have to] {t2}."',
                (
                    "[So {B} helped {A.him}, and soon it was done.|{B} waited by the door until "
                    "{A} was ready.]"
                ),
            )
            s.say("then they played until [dark|supper|the moon came up].")
        else:
            s.say(
                "{A} [ran off|went along], and {A.he} forgot the last job.",
                (
                    '[in the evening|when {A.he} came home], {P} <asked>, "[Did you|Have you '
                    'done everything? Did you] {t2}?"'
                ),
                (
                    '"Oh no," said {A}, and {A.his} face [turned|went] red. {A.He} [ran|hurried] '
                    "to do it [at once|right away]."
                ),
            )
    else:
        s.say(
            "{A} wanted to remember it all, so {A.he} [sang|said] the words again and "
            'again: "{t0}, {t1}, {t2}."'
        )
        s.say("[soon|one after the other], the jobs were done: {A} {d0}, {d1} and {d2}.")
    s.paragraph()
    s.say(
        (
            '<later>, {P} [looked around|came to look] and <smiled>. "You did {n} things '
            'today," {P.he} said. "[I am proud of you|You were a great help|That was '
            'hard work]."'
        ),
        n=number(3),
    )
    s.say("{P.He} gave {A} [a big hug|a kiss|a {reward}][|, and {A} was <happy>].")
    ending(s, "work", 0.6)


def broken(s: Story) -> None:
    """Something breaks; the hero hides it or tells at once, and what follows differs."""
    a = make_child(s) if s.chance(0.8) else make_hero(s)
    s.set(A=a, P=parent_of(s, a))
    noun = s.pick("vase cup plate bowl lamp clock mirror jar pot teapot".split())
    colour = s.pick(words.COLOURS)
    other = s.pick(["the cat", "the dog", "the wind", "{A.his} brother", "{A.his} sister"])
    s.set(v=noun, c=colour, other=s.expand(other))
    opening(s, a)
    s.say(
        "[In the [kitchen|hall|living room] stood a [lovely|fine|very old] {c} {v}, "
        "which {P.full} loved|{P.full} had a [lovely|fine|very old] {c} {v}, a "
        "present from [an aunt|a friend|far away]]."
    )
    s.say(
        '"[You must not|Do not|Please do not] [run|play ball|throw things] near the '
        '{v}[, {A}|]," {P} had [said|told {A.him}] [many times|more than once].'
    )
    s.say(
        (
            "<opening>, {A} was [playing with a <colours> ball|running through the house|"
            "dancing about|chasing the [cat|puppy]], and [crash|bang]! the {v} fell and "
            "broke into {n} pieces."
        ),
        n=number(s.rng.randint(3, 9)),
    )
    s.say("{A} [was <scared>|felt {A.his} heart beat fast|did not know what to do].")
    s.paragraph()
    honest = s.chance(0.5)
    s.facts["honest"] = "yes" if honest else "no"
    if honest:
        s.say(
            (
                "{A} [wanted to hide the pieces|thought of blaming {other}|could have run "
                "away], but {A.he} [went straight to|went to find] {P} [instead|at once]."
            ),
            '"{P.call}, I broke the {c} {v}," {A.he} <whispered>. "I am [so|very] sorry."',
            "{P} was quiet for a moment. then {P.he} [hugged {A}|took {A.his} hand].",
            (
                '"I am [sad|sorry] about the {v}," {P.he} said. "But I am glad that you told '
                'me [the truth|at once]."'
            ),
        )
        s.maybe(
            0.7,
            (
                "they [swept up|picked up|gathered] the pieces together[| and glued them "
                "with care| and made a picture out of them]."
            ),
        )
    else:
        where = s.pick([h for h in words.HIDING if h.split()[-1] not in ("tree", "grass", "shed")])
        s.say(
            (
                "{A.He} [put|hid] the pieces {where}[| and ran to {A.his} room| and sat down "
                "very still]."
            ),
            where=where,
        )
        s.say(
            '<later>, {P} came in. "[Where is|What happened to] my {c} {v}?" {P.he} asked.',
            (
                '"It was {other}," said {A}, but [{A.his} ears turned red|{A.he} looked at '
                "the floor]."
            ),
        )
        s.say(
            "all [day|evening] {A} [felt bad|had a pain in {A.his} belly|could not eat or play].",
            (
                '<night>, {A.he} went to {P} and <whispered>, "It was not {other}. [I broke '
                'it|I broke the {v}], and I hid it {where}."'
            ),
            where=where,
        )
        s.say(
            (
                '"[I knew|I thought so]," said {P}. "I was not [angry|cross] about the {v}, '
                'but [I was sad about|it hurt me to hear] the lie."'
            ),
            "{A} [cried a little|hugged {P}] and promised never to lie again.",
        )
        if s.chance(0.5):
            s.say(
                "{A.He} said sorry to {other}, too."
                if "wind" not in other
                else "the bad feeling was gone."
            )
    ending(s, "truth", 0.7)
