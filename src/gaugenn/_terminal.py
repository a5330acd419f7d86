"""Text for people's terminals. Names come from hostile packages, and terminals obey what they print."""


def printable(text: str) -> str:
    """The text with all that could steer a terminal spelled out in hex; line breaks stay.

    That is control characters, and those that turn the direction of writing or cannot be seen.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
