"""Plots of seasons and weather: a seed, rain, snow."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.scenes import aside, ending, opening, weather
from stories.world import elder, make_animal, make_friend, make_hero, make_thing, number, parent_of


def seed(s: Story) -> None:
    """Someone plants a seed and must wait; digging it up is a mistake."""
    a = make_hero(s)
    e = elder(s) if s.chance(0.5) else parent_of(s, a)
    plant = s.pick(
        [*words.FLOWERS[:6], "pumpkin", "bean", "tomato", "melon", "apple tree", "pear tree"]
    )
    s.set(
        A=a,
        E=e,
        pl=plant,
        c=s.pick(words.COLOURS),
        B=make_friend(s, a),
        pot=make_thing(s, ["pot", "bucket", "bowl"]),
        spot=s.pick(["behind the house", "by the fence", "near the well", "under the window"]),
        n=number(s.rng.randint(2, 12)),
    )
    opening(s, a)
    s.say(
        '<opening>, {E} gave {A.him} a [small|tiny|round] seed. "If you care for it, '
        'it will [become|grow into] a {pl}," {E.he} said.'
    )
    where = s.pick(["{spot}", "in {pot.a}"])
    s.set(where=s.expand(where))
    s.set(there=s.env["where"].replace("in a ", "in the "))
    s.say(
        "{A} planted the seed {where} and gave it [some|a cup of] water.",
        "[The next morning|The next day], {A.he} looked, but there was nothing to see.",
    )
    s.paragraph()
    impatient = s.chance(0.5)
    s.facts["patient"] = "no" if impatient else "yes"
    if impatient:
        s.say(
            '"[It is so slow]!" <cried> {A}. {A.He} [dug up the seed|took the seed out '
            "of the earth] to look at it."
        )
        s.say(
            (
                '"[If you do that, it cannot grow|It needs peace]," said {E}. "[Put it back|'
                'Plant it again] and wait."'
            ),
            (
                "{A} was sorry. {A.He} planted the seed again {there}, and this time {A.he} "
                "let it sleep."
            ),
        )
    else:
        s.say(
            '{B} laughed. "[It is dead|Nothing will come of it|There is only mud]," {B.he} said.',
            (
                "But {A} [brought water|came] every day[|, in the rain and in the sun], and "
                "{A.he} [sang to it|waited|did not give up]."
            ),
        )
    s.say(
        "First came the rain, then the sun. [After {n} days|{n} days later], a [tiny|"
        "little] green leaf [came up|looked out of the earth]."
    )
    if s.chance(0.4):
        weather(s)
    what = (
        "{c} flower"
        if plant in words.FLOWERS
        else "[big|round|ripe] {pl}"
        if "tree" not in plant
        else "young tree"
    )
    s.say(
        f"[In summer|Weeks later|At last], a [beautiful|fine|lovely] {what} [stood|grew] {{there}},"
        " [where the seed had been|and the bees came to see it]."
    )
    s.say(
        (
            '"[You waited|You learned to wait]," said {E}[| and smiled]. "[Now look at '
            'your {pl}|That is how it grows]."'
        )
        if impatient
        else (
            '{B} could not believe it. "[I was wrong|I am sorry that I laughed]," {B.he} '
            "said, and {A} gave {B.him} a seed to take home."
        )
    )
    ending(s, "patience", 0.7)


def rain(s: Story) -> None:
    """Rain makes someone wet and cold; a stranger's fire dries them, and thanks follow."""
    a = make_hero(s)
    b = make_animal(s, a) if not a.child else elder(s)
    o = make_thing(s, words.CLOTHES)
    s.set(
        A=a,
        B=b,
        o=o,
        P=parent_of(s, a),
        drink=s.pick(words.DRINKS[1:]),
        food=s.pick(words.FOODS[:10]),
        place=s.pick(words.OUTDOORS),
        home=s.pick(
            ["a small house", "a hut", "a cottage", "a cave with a door"]
            if not a.child
            else ["a small house", "a hut", "a cottage"]
        ),
    )
    opening(s, a)
    s.say('<opening>, {A} wanted to go to {place}. "Take your {o.short}," said {P}. "It may rain."')
    listened = s.chance(0.4)
    s.facts["listened"] = "yes" if listened else "no"
    if listened:
        s.say(
            "{A} [did not want to, but {A.he} put it on|put on the {o.short}] and [left|"
            "went out|set off]."
        )
    else:
        s.say(
            '"[No, it is sunny|I do not need it]," said {A}, and {A.he} left the '
            "{o.short} [on a chair|by the door|on its hook]."
        )
    if s.chance(0.45):
        aside(s)
    s.say(
        "[Near {place}|Halfway|On the way back], the sky [turned|grew] dark, and it "
        "began to [rain|pour]."
    )
    s.paragraph()
    if listened:
        s.say(
            "The {o.short} kept {A} [warm and dry|dry]. <suddenly>, {A.he} <saw> {B} "
            "standing under a tree, [wet|dripping] from head to foot."
        )
        s.say(
            (
                '"[Come under my {o}|We can share the {o}|You can have my {o} for the way]," '
                "said {A}."
            ),
            (
                '[So they walked home together.|{B} took it gladly.] "<thanks>," said {B}. '
                '"[I wish I had listened, too|I left mine at home]."'
            ),
        )
        s.say("At {home} they [drank {drink}|had {drink}] and [listened to|watched] the rain.")
    else:
        s.say(
            (
                "Soon {A} was wet and cold, and {A.his} teeth were chattering. <later>, "
                "{A.he} <saw> a light. It came from {home}."
            ),
            (
                '{A.He} knocked. {B} opened the door. "[You are wet through|Come in, come '
                'in]," {B.he} said.'
            ),
        )
        s.say(
            (
                "{A} sat by the fire until {A.his} [clothes were|feet were] dry. {B} gave "
                "{A.him} {drink} and [some|a piece of] {food}."
            )
            if a.child
            else (
                "{A} sat by the fire until {A.he} was dry. {B} gave {A.him} {drink} and some "
                "{food}."
            )
        )
        s.say('"[Next time|Tomorrow] I will take my {o.short}," said {A}, and {B} laughed.')
        s.maybe(
            0.6,
            (
                "[The next day|When the sun came out again], {A} brought {B} [a basket of "
                "<fruits_many>|some flowers|a drawing] to say thank you."
            ),
        )
    ending(s, s.pick(["listen", "kindness"]) if not listened else "sharing", 0.6)


def snow(s: Story) -> None:
    """A snowman with parts that are named; then the sun comes, and something remains."""
    a = make_hero(s)
    b = make_friend(s, a)
    nose = s.pick(["a carrot", "a stick", "a pine cone", "a red pepper"])
    hat = make_thing(s, ["hat", "cap", "bucket", "pot"])
    scarf = make_thing(s, ["scarf", "belt", "ribbon"])
    eyes = s.pick(["two buttons", "two stones", "two nuts", "two pieces of coal"])
    s.set(
        A=a,
        B=b,
        nose=nose,
        nosed="the " + nose.split(" ", 1)[1],
        hat=hat,
        scarf=scarf,
        eyes=eyes,
        eyesd="the " + eyes,
        n=number(s.rng.randint(2, 7)),
        P=parent_of(s, a),
        name=s.pick("Mr. Frost|Old Cold|King Winter|Snowy Joe|Mr. White".split("|")),
    )
    opening(s, a)
    s.say(
        "One winter [morning|day], everything was white. {A} [called|ran to] {B}. "
        '"Let us [make|build] a snowman!" {A.he} said.'
    )
    s.say(
        "They rolled a big ball, then a smaller one, and a tiny one for the head.",
        (
            "{A} [brought|found] {nose} for the nose and {eyes} for the eyes. {B} "
            "[brought|gave him] {hat.a}, and {scarf.a} for his neck."
        ),
    )
    s.say(
        '"[We will call him|His name is] {name}," said {B}. [For {n} days|Every '
        "day], they [played around him|said good morning to him|told him stories]."
    )
    if s.chance(0.4):
        aside(s)
    s.paragraph()
    s.say(
        "Then [the sun came out|it grew warm|spring came], and {name} [became|grew] "
        "smaller and smaller. [One morning|In the end], only water was left, and in "
        "it lay {nosed}, {eyesd}, {hat.the} and {scarf.the}."
    )
    s.say('{A} was <sad>. "{name} is gone," {A.he} said[| with tears in {A.his} eyes].')
    who = s.pick(["B", "P"])
    s.set(W=s.env[who])
    s.say(
        '"[He is not gone|He only went away]," said {W}. "He [became|turned into] '
        "water, [and the water waters the flowers|and the water goes up to the "
        'clouds|and next winter he comes back as snow]."'
    )
    if s.chance(0.6):
        s.say(
            "So {A} kept {hat.the}, and {B} kept {scarf.the}[| for the next winter].",
            (
                "[The next winter|A year later], they built {name} again, with {nose}, "
                "{eyes} and the same {hat} and {scarf}."
            ),
        )
    else:
        s.say(
            "{A} [gave {nosed} to a rabbit|put {eyesd} in {A.his} pocket], and they hung "
            "{hat.the} on a nail until the next snow."
        )
    ending(s, "patience", 0.3)
