"""Templates: how a plot turns choices into grammatical sentences.

In a template ``[a|b|c]`` is one of several wordings (may be nested, may be empty), ``<list>`` a
word of that list in `words`, and ``{A.his}`` a field of the story's environment, as in
`str.format`. Capitals at sentence starts and "a"/"an" are put right afterwards.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from stories import syntax, words, words_wide

T = TypeVar("T")

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_WORD = re.compile(r"<(\w+)>")
_ARTICLE = re.compile(r"\b([Aa])n? (?=[\"“]?([A-Za-z]+))")
_START = re.compile(r"(^|(?<!\.)[.!?] |^\"|[.!?,] \")([a-z])")


def _word_list(name: str) -> Sequence[str]:
    module = {"w_": words_wide, "x_": syntax}.get(name[:2], words)
    found: Sequence[str] = getattr(module, name.upper())
    return found


def _takes_an(word: str) -> bool:
    word = word.lower()
    if word.startswith(("one", "uni", "use", "usu", "eu")):
        return False
    return word[0] in "aeiou" or word.startswith(("hour", "honest"))


def fix_articles(text: str) -> str:
    """Write "an" before a vowel sound and "a" elsewhere.

    >>> fix_articles("a apple and an hat, a hour, a useful egg")
    'an apple and a hat, an hour, a useful egg'
    """
    return _ARTICLE.sub(lambda m: m[1] + ("n " if _takes_an(m[2]) else " "), text)


def join(parts: Sequence[str], last: str = "and") -> str:
    """Join words as prose does.

    >>> join(["a nut", "a plum", "a pear"])
    'a nut, a plum and a pear'
    """
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + f" {last} " + parts[-1]


class Story:
    """A story being written: a random generator, an environment of names, and paragraphs."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.env: dict[str, Any] = {}
        self.facts: dict[str, str] = {}
        self._paragraphs: list[list[str]] = [[]]

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.rng.randrange(len(options))]

    def sample(self, options: Sequence[T], n: int) -> list[T]:
        """Return n different options."""
        return self.rng.sample(list(options), n)

    def chance(self, p: float) -> bool:
        """Return True with probability p."""
        return self.rng.random() < p

    def set(self, **names: Any) -> None:
        """Add names to the environment that templates see."""
        self.env.update(names)

    def expand(self, template: str, **names: Any) -> str:
        """Return the template with every choice made, without capitals put right."""
        text = template
        while True:
            filled = _WORD.sub(lambda m: self.pick(_word_list(m[1])), text)
            filled = _CHOICE.sub(lambda m: self.pick(m[1].split("|")), filled)
            if filled == text:
                break
            text = filled
        return text.format(**(self.env | names))

    def say(self, *templates: str, **names: Any) -> None:
        """Append each template to the paragraph as a sentence (or several)."""
        for template in templates:
            text = " ".join(self.expand(template, **names).split())
            text = text.replace(" ,", ",").replace(" .", ".")
            if text:
                text = _START.sub(lambda m: m[1] + m[2].upper(), text)
                self._paragraphs[-1].append(fix_articles(text))

    def maybe(self, p: float, *templates: str, **names: Any) -> None:
        """Say the templates with probability p."""
        if self.chance(p):
            self.say(*templates, **names)

    def paragraph(self) -> None:
        """Begin a new paragraph."""
        if self._paragraphs[-1]:
            self._paragraphs.append([])

    def text(self) -> str:
        """Return the story; paragraphs are parted by an empty line."""
        return "\n\n".join(" ".join(p) for p in self._paragraphs if p)
