"""Small scenes that any plot may use: openings, asides, endings."""

from __future__ import annotations

from stories import words
from stories.engine import Story
from stories.world import Character, count

_MORALS = {
    "sharing": [
        "sharing makes [everyone happy|a small thing big|a good day better]",
        "a thing is twice as [good|nice|sweet] when it is shared",
        "it is better to share than to keep everything for oneself",
    ],
    "truth": [
        "it is [always|best|right] to tell the truth, even when it is hard",
        "the truth is [lighter to carry|better] than a lie",
        "a mistake can be mended, but [only if one tells about it|not with a lie]",
    ],
    "patience": [
        "good things take time",
        "it is worth waiting for [good things|something good]",
        "[patience pays off|those who wait are often glad|hurry only makes a mess]",
    ],
    "kindness": [
        "a kind deed comes back",
        "being kind is [never a waste|the best gift|more than being strong]",
        "one good turn deserves another",
    ],
    "courage": [
        "being brave means [trying|going on] even when you are afraid",
        "a fear grows small when you look at it",
        "it is easier to be brave with a friend [near|at your side]",
    ],
    "help": [
        "many hands make [a hard job easy|the work light]",
        "it is [good|wise] to ask for help",
        "together they could do what no one could do alone",
    ],
    "listen": [
        "it is wise to listen to those who know [the way|more]",
        "a warning is [a gift|worth hearing]",
        "it is better to listen first and run later",
    ],
    "care": [
        "one should take good care of one's things",
        "things that are put away are [easy to find|not lost]",
        "a careful hand [saves much trouble|loses little]",
    ],
    "practice": [
        "practice makes things [easy|better]",
        "if you keep trying, you will get there",
        "no one is good at a thing on the first day",
    ],
    "pride": [
        "it is not good to boast",
        "slow and steady [is better than fast and proud|can win the day]",
        "being proud can make you [lose|careless]",
    ],
    "work": [
        "work is [more fun|easier] with a song",
        "it is good to finish what one has begun",
        "play is sweeter when the work is done",
    ],
    "thinking": [
        "it is good to think before one speaks",
        "two heads are better than one",
        "a [hard|strange] question may have a simple answer",
    ],
    "enough": [
        "one can have too much of a good thing",
        "it is [wise|good] to be happy with what one has",
    ],
    "friends": [
        "a [good|true] friend is worth more than [gold|any toy|all the toys in the world]",
        "it is easy to make a friend with a smile",
        "friends may be different and still be friends",
    ],
}


def opening(s: Story, a: Character) -> None:
    """Present the hero, named as A in later templates."""
    article = "a" if a.child else "a [little|small|young|]"
    kind = "[little|small|young|] {A.kind}" if a.child else "{A.kind}"
    s.say(
        f"[once upon a time|once|long ago|in a small [town|village|house]],"
        f" there [was|lived] {article} [{{A.trait}}|] {kind} [named|called] {{A}}."
        if s.chance(0.6)
        else f"{{A}} was {article} [{{A.trait}}|] {kind} [who lived near {s.pick(words.OUTDOORS)}|"
        f"who lived with {{A.his}} [family|grandma|mom and dad]|with a [big|warm] smile|"
        "who was never still|who asked many questions]."
    )
    if s.chance(0.35):
        s.say(
            "{A.He} <loved> to [play|read|sing|run|dance|swim|paint|climb|dig|count "
            "things|tell stories|help others|look at the clouds|listen to the birds|jump "
            "in puddles][| all day| after breakfast| when the sun was out| more than "
            "anything]."
        )


def weather(s: Story) -> None:
    """One sentence about the day."""
    s.say(
        "[the sun was shining|the sky was blue|it was warm outside|the birds were "
        "singing|a cold wind was blowing|there were grey clouds in the sky|it had "
        "rained all night|the grass was still wet|the leaves were falling|snow lay "
        "on the ground|it was so hot that even the dogs were lying in the shade][| "
        "and the air smelled of <scents>| and everything was quiet|, but no one "
        "minded]."
    )


def aside(s: Story) -> None:
    """Add a scene that has little to do with the plot, at times one recalled by `echo`."""
    what = s.pick(["weather", "animal", "snack", "song", "count", "wear", "thought", "meet"])
    if what == "weather":
        weather(s)
    elif what == "animal":
        kind, colour = s.pick(words.BIRDS + words.BUGS), s.pick(words.COLOURS)
        where = s.pick("on a branch|on a fence|on a stone|on the gate|on a leaf".split("|"))
        s.say(
            f"[on the way,|as {{A.he}} went,|a little further on,] {{A.he}} <saw> a {colour} {kind}"
            f" [sitting|resting] {where}[| and stopped to look at it| and said hello to it]."
        )
        s.facts["seen"] = f"the {colour} {kind} [{where}|]"
    elif what == "snack":
        fruit = s.pick(words.FRUITS)
        s.say(
            f"{{A.He}} had a {fruit} in {{A.his}} [pocket|bag] and ate it"
            "[ slowly| as {A.he} walked| with great joy|]."
        )
    elif what == "song":
        s.say(
            "{A} [sang|hummed] a [little|happy|silly] song [about <scents>|that {A.his} "
            "[mom|grandpa|aunt] had taught {A.him}|to {A.him}self|all the way]."
        )
    elif what == "count":
        n, m = s.rng.randint(2, 6), s.rng.randint(1, 5)
        kind = s.pick(words.BIRDS + words.BUGS + words.FLOWERS)
        total = count(n + m, kind)
        s.say(
            f"{{A}} counted {count(n, kind)} and then {'' if m > 1 else 'just '}{count(m, kind)}"
            f" more. [That made {total}|That was {total} in all]."
        )
    elif what == "wear":
        s.say(
            "{A} was wearing {A.his} [favorite|new|old|best|warm] <colours> <clothes>[|, "
            "the one with the [big|round|silver] buttons|, which was a bit too [big|"
            "small]]."
        )
    elif what == "thought":
        s.say(
            '["What a [lovely|fine|good] day," thought {A}.|"I wonder what will happen '
            'today," thought {A}.|{A} thought about [supper|the sea|{A.his} friends|the '
            "clouds][ and smiled|].]"
        )
    else:
        job = s.pick("farmer baker postman painter gardener fisher".split())
        he = s.pick(["he", "she"])
        load = s.pick(
            (
                "a basket of <fruits_many>|a sack of <vegetables_many>|a tall ladder|a big "
                "bag|a can of <colours> paint"
            ).split("|")
        )
        s.say(
            f"[on the way|at the corner|near the gate], {{A.he}} met [a|the old|a cheerful] {job}"
            f' who was carrying {load}. "Good [morning|day], {{A}}!" {he} [said|called].'
        )


def echo(s: Story) -> None:
    """Recall what an aside has shown, if it has."""
    if "seen" in s.facts and s.chance(0.7):
        s.say(
            f"[on the way home,|going back,] {{A.he}} [passed|looked for|waved to]"
            f" {s.facts['seen']} [again|once more]."
        )


def moral(s: Story, kind: str) -> None:
    """End with a lesson of this kind."""
    lesson = s.pick(_MORALS[kind])
    s.say(
        f"[{{A}} [learned|understood|knew now|never forgot] that {lesson}|"
        f"from that day on, {{A}} [knew|remembered] that {lesson}|"
        f"and so {{A}} learned that {lesson}]."
    )
    s.facts["moral"] = kind


def ending(s: Story, kind: str, p_moral: float = 0.6) -> None:
    """Close the story: an echo, a moral, a last happy line."""
    echo(s)
    if s.chance(p_moral):
        moral(s, kind)
    if s.chance(0.45):
        s.say(
            "[<night>, {A} [fell asleep with a smile|dreamed about it all|thought about "
            "it all again|told the whole story to {A.his} [teddy bear|family|pillow]].|"
            "it had been a [good|long|wonderful|special] day.|{A} was <happy>[ and went "
            "home| all day long|].|the end.|and they [all|] lived happily [ever after|"
            "for many years].]"
        )
