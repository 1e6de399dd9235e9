"""What is wrong with what a user wrote."""

import difflib
import re
from collections.abc import Iterable

__all__ = ["SpecError", "as_number", "nearest", "short", "short_value"]


class SpecError(ValueError):
    """A format, a rule or a design is wrong; the message is one line and says what must hold."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known word closest to ``word``, or nothing.

    Examples
    --------
    >>> nearest("wdith", ["width", "guard"])
    "; did you mean 'width'?"
    >>> nearest("zzz", ["width", "guard"])
    ''
    """
    close = difflib.get_close_matches(word, [str(each) for each in known], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def short(text: str) -> str:
    """Return a word in quotes, as messages have it: no longer than a message can be.

    Examples
    --------
    >>> short("e4m3"), len(short("x" * 4000))
    ("'e4m3'", 66)
    """
    return repr(text if len(text) <= 64 else text[:61] + "...")


def short_value(value: object) -> str:
    """Return a value as it is written, as messages have it: no longer than a message can be.

    Examples
    --------
    >>> short_value([1, "x"]), len(short_value("x" * 4000))
    ("[1, 'x']", 60)
    """
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def as_number(value: object) -> str:
    """Say how to write a number that YAML takes for a word, such as 1e3; or nothing.

    Examples
    --------
    >>> as_number("1e3"), as_number("none")
    ('; write 1000 without quotes', '')
    """
    if not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    text = f"{number:.15g}"
    # What has letters in it, an exponent or a name, YAML would take for a word again.
    return "" if re.search("[a-z]", text) else f"; write {text} without quotes"
