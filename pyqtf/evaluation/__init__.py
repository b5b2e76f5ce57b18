"""Scores, experiments and their statistics. A model is ids in, the loss of every token out.

The public names of this layer are those of `pyqtf`; its modules are imported one by one so that
scoring a text doesn't load pandas.
"""
