"""Names of formats."""

import functools

from minimac.spec.blocks import BLOCKS, BlockFormat
from minimac.spec.codebooks import TABLES, Codebook, KHot
from minimac.spec.errors import SpecError, nearest, short
from minimac.spec.formats import WELL_KNOWN, ExponentOnly, FixedPoint, Format, Minifloat

__all__ = ["ALIASES", "FAMILIES", "parse_format"]

#: Families of formats, in the order in which they are asked whether a name is theirs.
FAMILIES: tuple[type[Format], ...] = (
    ExponentOnly,
    Minifloat,
    FixedPoint,
    Codebook,
    KHot,
    BlockFormat,
)

#: Other names of formats: a word to a word of the grammar.
ALIASES = {
    **{short: long for long, short in WELL_KNOWN.items()},
    "bfloat16": "e8m7ieee",
    "float16": "e5m10ieee",
    "half": "e5m10ieee",
    "binary16": "e5m10ieee",
    "float32": "e8m23ieee",
    "single": "e8m23ieee",
    "binary32": "e8m23ieee",
    "float8_e4m3fn": "e4m3fn",
    "float8_e5m2": "e5m2ieee",
    "float8_e8m0fnu": "e8m0",
    "float6_e3m2fn": "e3m2",
    "float6_e2m3fn": "e2m3",
    "float4_e2m1fn": "e2m1",
    "ue8m0": "e8m0",
    "mxfp8": "mxfp8_e4m3",
    "mxfp4_e2m1": "mxfp4",
}

_LONGEST = 4096  # characters; a table of 256 values of 32 bits spells out 2048 digits
_MOST_WORDS = 32  # between colons; with all its options a block of a table has 14

_EXAMPLES = (
    *("e4m3fn", "e4m3fnuz", "e5m2fnuz", "e3m2", "e2m3", "e2m1", "ue5m3", "ue4m3fn"),
    *("e8m0", "int8", "int4", "uint8", "tern", "khot2:s0.7"),
)


def parse_format(text: str) -> Format:
    """Turn a name into a format.

    Parameters
    ----------
    text : str
        A name: ``e4m3fn``, ``bf16``, ``ue4m3fn``, ``binary8p4se``, ``int8``, ``s4.3``, ``nf4``,
        ``mxfp4``, and so on; options follow a colon: ``e4m3fn:bias=9``, ``bf16:ftz``,
        ``int8:sym``, ``khot2:s0.7``, ``nvfp4:scale=ue5m3``.

    Raises
    ------
    SpecError
        If it names no format; the message has the nearest name.

    Examples
    --------
    >>> parse_format("bfloat16").name, parse_format("e4m3fn").max_lsbs * 2.0**-9
    ('bf16', 448.0)
    >>> parse_format("bf61")
    Traceback (most recent call last):
        ...
    minimac.spec.errors.SpecError: unknown format 'bf61'; did you mean 'bf16'?
    """
    if not isinstance(text, str):
        raise SpecError(f"a format must be a name, not {text!r}")
    if len(text) > _LONGEST:
        raise SpecError(f"a format's name has at most {_LONGEST} characters, not {len(text)}")
    if text.count(":") >= _MOST_WORDS:
        raise SpecError(f"format {short(text)}: a name has at most {_MOST_WORDS} words")
    try:
        return _parse(text)
    except SpecError as error:
        if str(error).startswith(("unknown", "format")):
            raise
        raise SpecError(f"format {short(text)}: {error}") from None


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Format:
    base, *options = text.strip().lower().split(":")
    word = ALIASES.get(base, base)
    for family in FAMILIES:
        if found := family.from_words(word, options):
            return found
    known = [*ALIASES, *TABLES, *BLOCKS, *_EXAMPLES]
    hint = nearest(base, known)
    grammar = "; ".join(family.grammar for family in FAMILIES)
    raise SpecError(f"unknown format {short(text)}{hint or '; names are ' + grammar}")
