"""Freer practice text: small scenes, dialogues and lists from a wide list of everyday words.

It carries no plot. Its purpose is that rare words, and turns of phrase that no plot has, are not
wholly new to the models.
"""

from __future__ import annotations

import random
import re

from stories import words
from stories import words_wide as wide
from stories.engine import Story, fix_articles, join
from stories.loose_patterns import SENTENCES
from stories.world import make_child, make_friend, make_hero, parent_of, plural


def loose_text(rng: random.Random) -> str:
    """Return one practice text: a loose scene, a list of words, or words spelled out."""
    s = Story(rng)
    kind = rng.random()
    if kind < 0.94:
        return _scene(s)
    nouns = wide.W_NOUN
    if kind < 0.97:
        picked = s.sample(nouns, rng.randint(4, 9))
        form = s.pick([lambda n: "a " + n, lambda n: plural(n), lambda n: "the " + n])
        s.say(
            "[in the <w_place> there was|{x} saw|we need|they had|on the list stood] {all}.",
            all=join([form(n) for n in picked]),
            x=s.pick(words.GIRLS + words.BOYS),
        )
        return s.text()
    word = s.pick(nouns + wide.W_ADJ + words.GIRLS + words.BOYS)
    if rng.random() < 0.3:
        word = made_up(word, rng)
    letters = "-".join(word.upper() if rng.random() < 0.5 else word)
    s.say(
        f'"[How do you spell|Can you write] {word}?" asked the teacher. "{letters}," said {{x}}.',
        x=s.pick(words.GIRLS + words.BOYS),
    )
    return s.text()


def _scene(s: Story) -> str:
    a = make_hero(s)
    b = make_friend(s, a)
    while b.name == a.name:
        b = make_child(s, a)
    s.set(A=a, B=b, P=parent_of(s, a))
    s.say(
        "[<opening>, {A} and {B} were <w_where>.|{A} was a <traits> {A.kind}.|there "
        "was once a {A.kind} [named|called] {A}.|{A} <w_trans> a <w_noun>.]"
    )
    share = s.pick([0.1, 0.8, 0.9, 1.0])
    for i in range(s.rng.randint(3, 14)):
        if i and s.chance(0.1):
            s.paragraph()
        s.say("<x_sentence>" if s.chance(share) else s.pick(SENTENCES))
    return s.text()


_SWAPS = [
    frozenset(wide.W_NOUN),
    frozenset(wide.W_ADJ),
    frozenset(wide.W_TRANS),
    frozenset(words.GIRLS),
    frozenset(words.BOYS),
    frozenset(words.COLOURS),
]
_LISTS = [sorted(swap) for swap in _SWAPS]
_WORD = re.compile(r"[A-Za-z]+")


_ONSETS = (
    "b bl br c ch cl cr d dr f fl g gr h j k l m n p pl pr qu r s sh sl st t th tr v w".split()
)
_VOWELS = "a a e e i i o o u ai ea ee ie oa oo ou y".split()
_CODAS = "b ck d ft g k l ll lt m n nd ng nt p r rd rm rn s sh ss st t th w x le er y".split()


def made_up(word: str, rng: random.Random) -> str:
    """Return an invented word of one to three syllables, with a capital if the word has one."""
    syllables = [rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, 3))]
    made = "".join(syllables) + (rng.choice(_CODAS) if rng.random() < 0.8 else "")
    return made.capitalize() if word[0].isupper() else made


def swapped(text: str, rng: random.Random, p: float) -> str:
    """Replace words of the text, each with probability p, by others of their list.

    What is left is grammatical but no longer foreseeable. One in five is a made-up word, so that
    the spelling of unknown words is not wholly new either.
    """

    def swap(match: re.Match[str]) -> str:
        word = match[0]
        if rng.random() < p:
            for members, options in zip(_SWAPS, _LISTS, strict=True):
                if word in members:
                    return made_up(word, rng) if rng.random() < 0.2 else rng.choice(options)
        return word

    return fix_articles(_WORD.sub(swap, text))


def mosaic(texts: list[str], rng: random.Random) -> str:
    """Mix the sentences of several texts."""
    sentences = [
        s
        for t in texts
        for s in re.split(r"(?<!Mr\.)(?<!Mrs\.)(?<=[.!?]) (?=[A-Z])", t.replace("\n\n", " "))
    ]
    return " ".join(rng.sample(sentences, min(len(sentences), rng.randint(5, 16))))
