"""Models of designs in C, for benches that are not Python's.

A second implementation of what a design computes, put together from the pieces in ``model/c``.
Those are C but for some words: ``NAME_`` begins all names of a design and ``ACC_`` those of one of
its accumulations, and words in capitals are replaced by what the design chooses.
"""

import re
from importlib.resources import files
from typing import NamedTuple

from minimac.spec import (
    Accumulation,
    BlockFormat,
    Codebook,
    Design,
    ExactAccumulation,
    ExponentOnly,
    FixedAccumulation,
    FixedPoint,
    FloatAccumulation,
    Format,
    FusedAccumulation,
    Minifloat,
    Overflow,
    Product,
    RoundedAccumulation,
    SpecError,
)

__all__ = ["c_dpi", "c_model", "render"]

_LARGEST_GROUP = 4096  # terms; the state holds them until the group is complete
_LONGEST_TENSOR = 1 << 32  # elements of a block that is a whole tensor

_OVERFLOWS = {
    Overflow.SATURATE: "NAME_SATURATE",
    Overflow.INFINITY: "NAME_TO_INFINITY",
    Overflow.NAN: "NAME_TO_NAN",
    Overflow.WRAP: "NAME_WRAP",
}

# What begins the names of an accumulation, and the key that it has in a design.
_KEYS = {"NAME_sum": "accumulate", "NAME_outer": "accumulate.outer", "NAME_pair": "within"}


def c_model(design: Design) -> str:
    """Return a header of C99 that computes a design bit by bit: ``<name>_model.h``.

    It needs neither floating point nor memory of its own and is valid C++. The design's name begins
    every name in it, so that several may be included side by side. ``<name>_dot`` takes arrays of
    codes and returns a code; ``<name>_init``, ``<name>_step`` and ``<name>_result`` do the same
    term by term. Blocks come with their scales, and ``<name>_close`` ends a pair of them. A
    stochastic ``out_round`` takes random bits and their number, at most 32.

    Parameters
    ----------
    design : Design
        The design.

    Raises
    ------
    SpecError
        If a group of a ``fused`` accumulation has more than 4096 terms.

    Examples
    --------
    >>> from minimac.spec import load_design
    >>> design = load_design({"name": "mine", "unit": "mac", "a": "int8", "b": "int8",
    ...     "out": "int32", "accumulate": {"kind": "exact"}})
    >>> [line for line in c_model(design).splitlines() if "mine_dot(" in line]
    ['static inline uint32_t mine_dot(const uint32_t *a, const uint32_t *b, size_t k)']
    """
    header = _Header(design)
    return _fill(design, "\n".join(header.pieces()))


def c_dpi(design: Design) -> dict[str, str]:
    """Return what makes a design's C model callable from SystemVerilog, by name of file.

    That is a package ``<name>_dpi`` of functions ``model_open``, ``model_step``, ``model_result``
    and so on, and the C that it imports. They pass integers and a ``chandle`` only, which every
    simulator can.
    """
    return {
        f"{design.name}_dpi.{suffix}": render(design, f"dpi.{suffix}") for suffix in ("c", "sv")
    }


def render(design: Design, name: str, words: dict[str, str] | None = None) -> str:
    """Return a text of ``model/c``, the words in it replaced by what they stand for.

    Parameters
    ----------
    design : Design
        The design, which all but ``words`` follows from.
    name : str
        Name of the file.
    words : dict, optional
        More words.
    """
    return _fill(design, _replace(_piece(name), words or {}))


def _piece(name: str, prefix: str = "") -> str:
    """Return a piece of text; names in it that are an accumulation's begin with ``prefix``."""
    text = (files("minimac.model") / "c" / name).read_text(encoding="utf-8")
    return re.sub(r"\bACC_", f"{prefix}_", text)


def _fill(design: Design, text: str) -> str:
    """Replace the words in a text by what they stand for, and then ``NAME``."""
    return re.sub(r"\bNAME(?![A-Za-z])", design.name, _replace(text, _words(design)))


def _replace(text: str, words: dict[str, str]) -> str:
    """Replace words, one after the other."""
    for word, meaning in words.items():
        start, end = (r"\b" if char.isalpha() else "" for char in (word[0], word[-1]))
        text = re.sub(start + re.escape(word) + end, meaning.replace("\\", r"\\"), text)
    return text


def _words(design: Design) -> dict[str, str]:
    """Return what words stand for; one with a space ahead is the rest of a list, maybe empty."""
    random = design.out_round.stochastic
    family = "floating" if isinstance(design.out, Minifloat) else "fixed"
    how = "&NAME_out_format, NAME_OUT_ROUND, NAME_OUT_OVERFLOW"
    floating_end = f"NAME_end_of_floating({how}, total)"
    fixed_end = "NAME_end_of_fixed(&NAME_out_format, total)"
    chance = "NAME_goes_up_by_chance(rounding, rest, random, random_bits)"
    return {
        "MAX_TERMS": str(design.accumulate.max_terms),
        "STOCHASTIC\n": _piece("stochastic.h") if random else "",
        "BY_CHANCE": chance if random else "false",
        "ENCODE_OUT": f"NAME_encode_{family}(\n        {how}, total.negative, &magnitude RANDOM)",
        "END_OF_OUT": fixed_end if family == "fixed" else floating_end,
        **_block_words(design),
        " RANDOM_PARAMETERS": ", uint32_t random, int random_bits" if random else "",
        " NO_RANDOM": ", 0, 0" if random else "",
        " RANDOM": ", random, random_bits" if random else "",
        " SV_RANDOM": ", input int unsigned random, input int random_bits" if random else "",
    }


def _block_words(design: Design) -> dict[str, str]:
    """Return what the words of dot products of blocks stand for."""
    blocks = [(role, fmt) for role, fmt in _sides(design) if isinstance(fmt, BlockFormat)]
    scales = [f"{role}_scale" for role, _ in blocks]
    tensors = [f"{role}_tensor" for role, fmt in blocks if fmt.tensor_scale]

    def listed(form: str, names: list[str]) -> str:
        return "".join(f", {form.format(name)}" for name in names)

    def decoded(name: str, names: list[str]) -> str:
        one = "NAME_make(NAME_FINITE, false, 1, 0)"
        return f"NAME_decode_{name}({name})" if name in names else one

    size = next((fmt.size for _, fmt in blocks), None)
    arguments = []
    for role in "ab":
        arguments += [f"const uint32_t *{role}"]
        arguments += [f"const uint32_t *{role}_scales"] if f"{role}_scale" in scales else []
        arguments += [f"uint32_t {role}_tensor"] if f"{role}_tensor" in tensors else []
    return {
        "DPI_CLOSE\n": _piece("dpi_close.c") if blocks else "",
        "SV_CLOSE\n": _piece("dpi_close.sv") if blocks else "",
        " SV_SCALES": listed("input int unsigned {}", scales),
        " SV_TENSORS": listed("input int unsigned {}", tensors),
        "TIMES_TENSORS\n": _piece("times_tensors.h") if tensors else "",
        " SCALE_PARAMETERS": listed("uint32_t {}", scales),
        " SCALES_OF_BLOCK": listed("{}s[i / size]", scales),
        " SCALES": listed("{}", scales),
        " TENSOR_PARAMETERS": listed("uint32_t {}", tensors),
        " TENSORS": listed("{}", tensors),
        "A_SCALE": decoded("a_scale", scales),
        "B_SCALE": decoded("b_scale", scales),
        "A_TENSOR": decoded("a_tensor", tensors),
        "B_TENSOR": decoded("b_tensor", tensors),
        "DOT_PARAMETERS": ", ".join(arguments),
        "BLOCK_SIZE": str(size or "k"),
    }


def _sides(design: Design) -> list[tuple[str, Format]]:
    return [("a", design.a), ("b", design.b)]


class _Span(NamedTuple):
    """Numbers that are multiples of ``2**low`` and less than ``2**high``."""

    low: int
    high: int

    @classmethod
    def of(cls, *formats: Format) -> "_Span":
        """Return the span of products of values, one of each format."""
        return cls(sum(fmt.lsb_exp for fmt in formats), sum(fmt.max_exp + 1 for fmt in formats))

    def times(self, other: "_Span") -> "_Span":
        return _Span(self.low + other.low, self.high + other.high)

    def summed(self, count: int) -> "_Span":
        return _Span(self.low, self.high + count.bit_length())


class _Terms(NamedTuple):
    """What an accumulation adds up."""

    span: _Span
    bits: int = 0  # width of the integers P
    leading: bool = True  # whether their exponents in a fused sum are those of leading ones


class _Header:
    """The parts of a header, as they come together."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.constants: dict[str, int | str] = {
            "NAME_NOWHERE": "(-(1 << 30)) /* an exponent below all others */",
            "NAME_OUT_ROUND": f"NAME_{design.out_round.name}",
            "NAME_OUT_OVERFLOW": _OVERFLOWS[design.out_overflow],
        }
        self.formats = {"NAME_out": design.out}
        self.targets: list[Format] = [design.out]  # what numbers are rounded to
        self.spans: list[_Span] = []  # of all that one wide integer must hold
        self.is_wide = design.has_blocks

    def pieces(self) -> list[str]:
        """Return the pieces of the text, in order."""
        design = self.design
        decoders = [self._decoder(role, fmt) for role, fmt in _sides(design)]
        span = _Span(design.product_min_exp - design.product_bits + 1, design.product_max_exp + 1)
        terms = _Terms(span, design.product_bits, leading=False)
        if design.has_blocks:
            sums = self._blocks(terms)
            for role, fmt in _sides(design):
                if isinstance(fmt, BlockFormat):
                    decoders.append(self._decoder(f"{role}_scale", fmt.scale))
                    if fmt.tensor_scale:
                        decoders.append(self._decoder(f"{role}_tensor", fmt.tensor_scale))
        else:
            sums = [*self._accumulation("NAME_sum", design.accumulate, terms), _piece("dot.h")]
        product = self._product()
        if self.is_wide:
            low = min(span.low for span in self.spans) - 64  # below what is shifted as a whole
            high = max(span.high for span in self.spans) + 2  # a sum of two, and its sign
            self.constants |= {"NAME_LSB": f"({low})", "NAME_LIMBS": (high - low - 1) // 32 + 1}
        families = {
            "floating": any(isinstance(fmt, Minifloat) for fmt in self.formats.values()),
            "fixed": any(isinstance(fmt, FixedPoint) for fmt in self.formats.values()),
            "power": any("decode_power" in decoder for decoder in decoders),
        }
        return [
            self._head(),
            _piece("numbers.h"),
            *(_piece(f"format_{family}.h") for family, there in families.items() if there),
            "\n".join(_declaration(name, fmt) for name, fmt in self.formats.items()) + "\n",
            *decoders,
            _piece("rounding.h"),
            _piece(f"magnitude_{'wide' if self.is_wide else 'narrow'}.h"),
            *self._encoders(),
            *product,
            *sums,
            "#endif /* NAME_MODEL_H */\n",
        ]

    def _head(self) -> str:
        lines = "\n".join(f"#define {name} {value}" for name, value in self.constants.items())
        head = _piece("head.h").replace("SUMMARY", self.design.summary())
        return head.replace("DIGEST", self.design.digest).replace("CONSTANTS", lines)

    def _decoder(self, role: str, fmt: Format) -> str:
        """Return the function that takes a code of an operand or a scale apart."""
        element = fmt.element if isinstance(fmt, BlockFormat) else fmt
        values, code, table = element.value_format, "code", ""
        if isinstance(element, Codebook):
            # As long as codes are wide, so that none leads out of it.
            count = 1 << element.width
            codes = [*element.codes, *[0] * (count - len(element.codes))]
            lines = [", ".join(map(hex, codes[i : i + 8])) for i in range(0, count, 8)]
            listed = ",\n    ".join(lines)
            table = f"static const uint32_t NAME_{role}_codes[{count}] = {{\n    {listed}}};\n\n"
            code = f"NAME_{role}_codes[code & {count - 1}]"
        if isinstance(values, ExponentOnly):
            call = f"NAME_decode_power({code})"
        else:
            self.formats[f"NAME_{role}"] = values
            family = "floating" if isinstance(values, Minifloat) else "fixed"
            call = f"NAME_decode_{family}(&NAME_{role}_format, {code})"
        head = f"static inline NAME_number NAME_decode_{role}(uint32_t code)"
        return f"/* {fmt.name} */\n{table}{head}\n{{\n    return {call};\n}}\n"

    def _encoders(self) -> list[str]:
        families = {"floating": Minifloat, "fixed": FixedPoint}
        return [
            _piece(f"encode_{word}.h")
            for word, family in families.items()
            if any(isinstance(fmt, family) for fmt in self.targets)
        ]

    def _product(self) -> list[str]:
        product, fmt = self.design.product, self.design.a
        if product is Product.EXACT:
            return [_piece("product.h"), _piece("product_exact.h")]
        assert isinstance(fmt, Minifloat)
        self.constants["NAME_OFFSET"] = product.offset(fmt.man_bits)
        kind = "codes" if product.adds_codes else "lmul"
        return [_piece("product.h"), _piece(f"product_{kind}.h")]

    def _blocks(self, terms: _Terms) -> list[str]:
        """Return sums within pairs of blocks, sums of those, and dot products."""
        design = self.design
        blocks = [fmt for _, fmt in _sides(design) if isinstance(fmt, BlockFormat)]
        within = design.within or ExactAccumulation(max_terms=1)
        pair = terms.span.summed(blocks[0].size or _LONGEST_TENSOR)
        if within.state_format:
            pair = _Span.of(within.state_format)
        scaled = pair.times(_Span.of(*(fmt.scale for fmt in blocks)))
        sums = [
            *self._accumulation("NAME_pair", within, terms),
            *self._accumulation("NAME_sum", design.accumulate, _Terms(scaled)),
        ]
        if design.accumulate.kind != "rounded":  # which has it for itself
            sums.append(_piece(f"sum_{design.accumulate.kind}_wide.h", "NAME_sum"))
        tensors = _Span.of(*(fmt.tensor_scale for fmt in blocks if fmt.tensor_scale))
        self.spans += [pair, *(span.times(tensors) for span in self.spans)]
        return [*sums, _piece("scales.h"), _piece("dot_blocks.h")]

    def _accumulation(self, prefix: str, acc: Accumulation, terms: _Terms) -> list[str]:
        """Return an accumulation whose names begin with ``prefix``."""
        self.spans.append(terms.span)
        match acc:
            case ExactAccumulation():
                self.is_wide = True
                self.spans.append(terms.span.summed(acc.max_terms))
                return [_piece("sum_exact.h", prefix)]
            case RoundedAccumulation():
                self.is_wide = True
                self._set_state(prefix, acc)
                return [_piece("sum_rounded.h", prefix)]
            case FixedAccumulation(chunk=int(chunk), outer=Accumulation() as outer):
                low = acc.format.lsb_exp
                sums = _Terms(_Span(low, low + acc.format.width), acc.format.sig_bits)
                self._set(prefix, CHUNK=chunk)
                return [
                    self._fixed("NAME_chunk", acc),
                    *self._accumulation("NAME_outer", outer, sums),
                    _piece("sum_chunks.h", prefix),
                ]
            case FixedAccumulation():
                return [self._fixed(prefix, acc)]
            case FloatAccumulation():
                return [self._float(prefix, acc, terms)]
            case FusedAccumulation():
                return [self._fused(prefix, acc, terms)]
        raise TypeError(f"{acc} is no accumulation of a known kind")

    def _set(self, prefix: str, **constants: int | str) -> None:
        self.constants |= {f"{prefix}_{word}": value for word, value in constants.items()}

    def _set_state(self, prefix: str, acc: RoundedAccumulation | FusedAccumulation) -> None:
        fmt = acc.state_format
        self.formats[prefix] = fmt
        self.targets.append(fmt)
        self.spans.append(_Span.of(fmt))
        overflow = _OVERFLOWS[Overflow.SATURATE]
        if fmt.has_infinities:
            fused = isinstance(acc, FusedAccumulation)
            overflow = "NAME_ALL_TO_INFINITY" if fused else _OVERFLOWS[Overflow.INFINITY]
        self._set(prefix, ROUND=f"NAME_{acc.round.name}", OVERFLOW=overflow)

    def _fixed(self, prefix: str, acc: FixedAccumulation) -> str:
        self.formats[prefix] = acc.format
        wraps = int(acc.overflow is Overflow.WRAP)
        self._set(prefix, ROUND=f"NAME_{acc.round.name}", WRAPS=wraps)
        return _piece("sum_fixed.h", prefix)

    def _float(self, prefix: str, acc: FloatAccumulation, terms: _Terms) -> str:
        below, coarse = acc.window_bits - acc.width, acc.normalize.coarse
        self._set(
            prefix,
            WIDTH=acc.width,
            BELOW=below,
            WINDOW=acc.window_bits,
            STICKY=int(acc.sticky),
            TERM_BITS=terms.bits,
        )
        normalize = _piece("normalize_exact.h", prefix) if coarse is None else ""
        if coarse:
            self._set(prefix, TOP=coarse[0], NEXT=coarse[1])
            normalize = _piece("normalize_approx.h", prefix)
        rounding = ""
        if below:
            self._set(prefix, ROUND=f"NAME_{acc.round.name}")
            rounding = _piece("round_window.h", prefix)
        text = _piece("sum_float.h", prefix)
        return text.replace("NORMALIZE_STEP\n", normalize).replace("ROUND_STEP\n", rounding)

    def _fused(self, prefix: str, acc: FusedAccumulation, terms: _Terms) -> str:
        if acc.group > _LARGEST_GROUP:
            raise SpecError(
                f"{_KEYS[prefix]}.group: must be at most {_LARGEST_GROUP} for a model in C, not "
                f"{acc.group}"
            )
        self._set_state(prefix, acc)
        least = min(span.low for span in self.spans)
        self.spans.append(_Span(least - acc.frac_bits - acc.sticky, least))
        self._set(prefix, GROUP=acc.group, FRAC_BITS=acc.frac_bits, STICKY=int(acc.sticky))
        product = f"term.exponent + {terms.bits} - 2"
        exponent = f"{prefix}_leading_one(term)" if terms.leading else product
        return _piece("sum_fused.h", prefix).replace("TERM_EXPONENT", exponent)


def _declaration(name: str, fmt: Format) -> str:
    """Return what a piece needs to know of a format, as a constant of that name."""
    if isinstance(fmt, FixedPoint):
        kind, values = "fixed", [fmt.width, fmt.frac_bits, fmt.signed, fmt.min_lsbs, fmt.max_lsbs]
    else:
        assert isinstance(fmt, Minifloat)
        kind = "floating"
        values = [fmt.exp_bits, fmt.man_bits, fmt.bias, fmt.signed, fmt.ftz]
        values += [fmt.has_negative_zero, fmt.has_infinities, fmt.has_nan]
        values += [fmt.max_code, fmt.nan_code or 0]
    listed = ", ".join(str(value).lower() for value in values)
    return f"static const NAME_{kind} {name}_format = {{{listed}}}; /* {fmt.name} */"
