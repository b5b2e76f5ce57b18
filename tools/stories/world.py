"""Characters and things: what a story remembers about each, and how it is referred to."""

from __future__ import annotations

from dataclasses import dataclass

from stories import words
from stories.engine import Story

_PLURALS = {
    "mouse": "mice", "goose": "geese", "sheep": "sheep", "deer": "deer", "wolf": "wolves",
    "leaf": "leaves", "child": "children", "scarf": "scarves", "man": "men", "ox": "oxen",
    "bread": "loaves of bread", "moose": "moose",
}  # fmt: skip
_ONES = words.NUMBERS


def plural(noun: str) -> str:
    """Return the plural of a noun.

    >>> [plural(n) for n in ("cat", "box", "berry", "toy", "mouse")]
    ['cats', 'boxes', 'berries', 'toys', 'mice']
    """
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun in ("potato", "tomato"):
        return noun + "es"
    return noun + "s"


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "plum"), count(3, "plum"), count(0, "plum")
    ('one plum', 'three plums', 'no plums')
    """
    if n == 0:
        return "no " + plural(noun)
    return f"{number(n)} {noun if n == 1 else plural(noun)}"


def number(n: int) -> str:
    """Return the word for 0 to 29."""
    if n <= 12:
        return _ONES[n]
    teens = "thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
    if n < 20:
        return teens[n - 13]
    return "twenty" + (f"-{_ONES[n - 20]}" if n > 20 else "")


@dataclass
class Character:
    """Someone in a story; ``str()`` is what the text calls them (a name, or "his mom")."""

    name: str
    kind: str
    sex: str
    trait: str = ""
    owner: Character | None = None

    def __str__(self) -> str:
        return self.name if self.owner is None else f"{self.owner.his} {self.kind}"

    @property
    def full(self) -> str:
        """The name that needs no owner in sight: "Lily's mom"."""
        return self.name if self.owner is None else f"{self.owner.name}'s {self.kind}"

    @property
    def call(self) -> str:
        """How one speaks to them."""
        return self.kind.capitalize() if self.owner is not None else self.name

    @property
    def the(self) -> str:
        """Name them by what they are: "the girl", "the fox"."""
        return "the " + self.kind if self.owner is None else str(self)

    @property
    def little(self) -> str:
        """Name them fondly: "the little girl"."""
        return "the little " + self.kind

    @property
    def he(self) -> str:
        """The pronoun as a subject."""
        return "he" if self.sex == "m" else "she"

    @property
    def him(self) -> str:
        """The pronoun as an object."""
        return "him" if self.sex == "m" else "her"

    @property
    def his(self) -> str:
        """The possessive before a noun."""
        return "his" if self.sex == "m" else "her"

    @property
    def hers(self) -> str:
        """The possessive on its own."""
        return "his" if self.sex == "m" else "hers"

    @property
    def He(self) -> str:  # noqa: N802 (the capital is the point)
        """The pronoun at the start of a sentence."""
        return self.he.capitalize()

    @property
    def His(self) -> str:  # noqa: N802
        """The possessive at the start of a sentence."""
        return self.his.capitalize()

    @property
    def child(self) -> bool:
        """Whether this is a girl or boy rather than an animal or a grown-up."""
        return self.kind in ("girl", "boy")


@dataclass
class Thing:
    """An object with the two properties that tell it from others."""

    noun: str
    first: str = ""
    second: str = ""

    def __str__(self) -> str:
        return self.noun

    @property
    def full(self) -> str:
        """All that is known, without an article: "little red kite"."""
        return " ".join(w for w in (self.first, self.second, self.noun) if w)

    @property
    def a(self) -> str:
        """With all that is known and the article "a"."""
        return "a " + self.full

    @property
    def the(self) -> str:
        """With all that is known and the article "the"."""
        return "the " + self.full

    @property
    def short(self) -> str:
        """Noun with the second property only: "red kite"."""
        return f"{self.second} {self.noun}" if self.second else self.noun

    @property
    def many(self) -> str:
        """The plural of the bare noun."""
        return plural(self.noun)


def make_thing(s: Story, nouns: list[str], *, rich: bool = True) -> Thing:
    """Make a thing with one of the nouns, a colour or material, and often a size or look."""
    noun = s.pick(nouns)
    second = s.pick(words.COLOURS if s.chance(0.75) else words.MATERIALS)
    first = s.pick(words.SIZES + words.LOOKS) if rich and s.chance(0.6) else ""
    clash = {("wooden", "balloon"), ("paper", "ring"), ("stone", "scarf")}
    soft = [*words.CLOTHES, "ribbon", "balloon", "blanket", "pillow", "leaf", "feather", "rope"]
    if (noun in soft and second in words.MATERIALS) or (second, noun) in clash:
        second = s.pick(words.COLOURS)
    if noun in ("leaf", "feather", "star") and second in words.MATERIALS:
        second = s.pick(words.COLOURS)
    if second == noun or (second in ("stone", "metal") and noun in ("stone", "coin", "medal")):
        second = s.pick(words.COLOURS)
    return Thing(noun, first, second)


def make_child(s: Story, *others: Character) -> Character:
    """Make a girl or boy whose name differs from the others'."""
    taken = {c.name for c in others}
    while True:
        sex = s.pick("fm")
        name = s.pick(words.GIRLS if sex == "f" else words.BOYS)
        if name not in taken:
            return Character(name, "girl" if sex == "f" else "boy", sex, s.pick(words.TRAITS))


def make_animal(s: Story, *others: Character, kinds: list[str] | None = None) -> Character:
    """Make a named animal whose name and kind differ from the others'."""
    taken = {c.name for c in others} | {c.kind for c in others}
    while True:
        name, kind = s.pick(words.PETS), s.pick(kinds or words.WILD)
        if name not in taken and kind not in taken:
            return Character(name, kind, s.pick("fm"), s.pick(words.TRAITS))


def make_hero(s: Story, *others: Character) -> Character:
    """Make a child or an animal."""
    return make_child(s, *others) if s.chance(0.65) else make_animal(s, *others)


def make_friend(s: Story, hero: Character, *others: Character) -> Character:
    """Make a friend of the hero's sort, usually."""
    if hero.child == s.chance(0.85):
        return make_child(s, hero, *others)
    return make_animal(s, hero, *others)


def parent_of(s: Story, hero: Character) -> Character:
    """Make a grown-up of the hero's family."""
    kind = s.pick(["mom", "mom", "dad", "dad", "grandma", "grandpa", "mother", "father"])
    sex = "f" if kind in ("mom", "grandma", "mother") else "m"
    return Character(kind, kind, sex, owner=hero)


def elder(s: Story, *others: Character) -> Character:
    """Make a grown-up neighbour with a title."""
    sex = s.pick("fm")
    title = s.pick(["Mrs.", "Miss"]) if sex == "f" else "Mr."
    job = s.pick("baker farmer teacher gardener painter tailor fisher doctor shopkeeper".split())
    return Character(f"{title} {s.pick(words.SURNAMES)}", job, sex)
