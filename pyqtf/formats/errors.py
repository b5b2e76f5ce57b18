"""The one exception for files that break their format."""


class FormatError(ValueError):
    """A file breaks its format, or doesn't fit the model that it should hold."""
