"""A grammar that writes simple children's stories, each reproducible from one seed.

`generate` makes a list of stories; ``python -m stories --n 3`` (run in ``tools/``) prints some.
The files: `words` the word lists, `world` characters and things, `engine` the templates,
`plots_*` the plots, `asides` small scenes any plot may use, `loose` freer practice text,
`corpus` the training text and the held-out set.
"""

from stories.corpus import generate, held_out, training_texts

__all__ = ["generate", "held_out", "training_texts"]
