"""How many blocks the circuits of a step take: products, sums, roundings.

Each function counts what its circuit in :mod:`minimac.rtl` is made of, in bits.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from minimac.spec import (
    Adder,
    Design,
    ExactAccumulation,
    FixedAccumulation,
    FixedPoint,
    FloatAccumulation,
    Fma,
    Format,
    Minifloat,
    Multiplier,
    Overflow,
    Product,
    RoundedAccumulation,
    Rounding,
)

__all__ = ["STEPS", "Builder", "Number", "convert", "count_step", "specials", "state_bits"]


class Number(NamedTuple):
    """A value on its way to be rounded: a magnitude, or two's complement, and its exponent.

    ``low`` and ``high`` are the least and greatest exponent of the top bit; ``exponent_bits`` is 0
    where they are one constant.
    """

    bits: int
    low: int
    high: int
    exponent_bits: int
    complement: bool
    normal: bool


class Builder:
    """Counts blocks, and what is passed one after the other."""

    def __init__(self) -> None:
        self.blocks: defaultdict[str, float] = defaultdict(float)
        self.path: defaultdict[str, float] = defaultdict(float)

    def add(self, block: str, amount: float) -> None:
        """Count a block that is off the longest path."""
        self.blocks[block] += max(amount, 0)

    def __call__(self, block: str, amount: float, passed: float | None = None) -> None:
        """Count a block that signals pass: so many bits deep, by default one."""
        self.add(block, amount)
        self.path[block] += max(1 if passed is None else passed, 0) if amount > 0 else 0

    def shift(self, bits: float, reach: float) -> None:
        """Count a shifter by up to ``reach`` places."""
        stages = int(reach).bit_length()
        self("shift", bits * stages, stages)

    def shift_down(self, bits: int, window: int, reach: int) -> None:
        """Count a shifter of so many bits from the top of a window down, longest steps first.

        Behind a stage there are as many bits as it has brought apart.
        """
        stages = int(reach).bit_length()
        moved = 0
        for n in reversed(range(stages)):
            bits = min(bits + min(bits, 1 << n), window)
            moved += bits
        self("shift", moved, stages)

    @property
    def empty(self) -> bool:
        """Whether nothing was counted."""
        return not any(self.blocks.values())


def count_step(design: Design, to: Builder) -> Number | None:
    """Count a product, a sum or a step of a chain; return what is left to be rounded."""
    if isinstance(design, Multiplier):
        return _multiplier(design, to)
    if isinstance(design, Adder):
        return _adder(design, to)
    return STEPS[type(design.accumulate)](design, to)


# --- Operands and products -------------------------------------------------------------------


def _is_integer(design: Design) -> bool:
    return isinstance(design.a, FixedPoint) and isinstance(design.b, FixedPoint)


def _is_signed(design: Design) -> bool:
    """Whether products can be negative."""
    return design.product_range[0] < 0


def _unpack(fmt: Format, to: Builder) -> None:
    if isinstance(fmt, FixedPoint):
        if fmt.signed:
            to("negate", fmt.width, fmt.width)
            to.add("choose", fmt.width)
        to.add("any", fmt.width)
        return
    assert isinstance(fmt, Minifloat)
    to("any", fmt.exp_bits, 1)
    to.add("any", fmt.man_bits)
    if fmt.ftz:
        to.add("clamp", fmt.man_bits)
    if fmt.has_nan or fmt.has_infinities:
        to.add("any", fmt.width)


def _multiply(design: Design, to: Builder) -> None:
    """Count what makes a product of sign, significand and exponent."""
    a, b = design.a, design.b
    for fmt in (a, b):
        _unpack(fmt, to)
    if design.product is not Product.EXACT:
        assert isinstance(a, Minifloat)
        if not design.product.adds_codes:
            to("add", 2 * a.sig_bits, a.sig_bits)
            to.add("exponent", a.exp_bits + 1)
            to.add("clamp", a.sig_bits)
            return
        bits = a.magnitude_bits
        to("add", 2 * bits, bits)
        to("any", 2 * bits, 2)  # above the largest code, below the least
        to("clamp", bits)
        return
    _product(a.sig_bits, b.sig_bits, to)
    widths = [fmt.exp_bits for fmt in (a, b) if isinstance(fmt, Minifloat)]
    if len(widths) == 2:
        to.add("exponent", max(widths) + 1)


def _product(x: int, y: int, to: Builder) -> None:
    if min(x, y) == 1:
        to("clamp", max(x, y))
        return
    to("product", x * y, min(x, y).bit_length())
    to.add("row", (min(x, y) - 1) * max(x, y))
    to.add("product_edge", x + y)
    to.path["product_edge"] += x + y


def _integer_product(design: Design, to: Builder) -> None:
    x, y = design.a.width, design.b.width
    _product(x, y, to)
    if design.a.signed or design.b.signed:
        to.add("sign_row", (x + y) ** 2 / 2 - x * y)


def specials(design: Design) -> int:
    """Width of what tells NaN and infinities."""
    return 2 if design.has_infinities else int(design.has_nan)


def _exponents(fmt: Format) -> int:
    return fmt.max_exp - fmt.min_exp


# --- A step of each kind of accumulation -----------------------------------------------------


def _float(design: Design, to: Builder) -> Number:
    acc = design.accumulate
    assert isinstance(acc, FloatAccumulation)
    _multiply(design, to)
    window, product, exponent = acc.window_bits, design.product_bits, _float_exponent(design)
    to("exponent", 2 * (exponent + 1), exponent)
    to.add("choose", exponent + 2 * product)
    to("choose", 2 * (window - product))
    reach = min(window - 1, (1 << exponent) - 1)
    to.shift(window, reach)
    to.add("any", window * acc.sticky)
    to("invert", window)
    to("add", window, window)
    to("negate", window, window)
    to.add("choose", window)
    if acc.normalize.coarse is None:
        if getattr(design, "normalizer", "counter") == "anticipator":
            to.add("anticipate", window)
        else:
            to("count", window + 1, window.bit_length())
        to.shift(window + 1, window)
        to.add("exponent", exponent)
    elif acc.normalize.coarse:
        k, n = acc.normalize.coarse
        to("any", k + n, 2)
        to("choose", 2 * window + (window if n > 1 else 0), 2)
        to.add("exponent", 2 * exponent)
        to.add("any", window)
    else:
        to("choose", window)
        to.add("exponent", exponent)
        to.add("any", window)
    if window > acc.width and acc.round is not Rounding.TRUNCATE:
        to("negate", acc.width, acc.width)
        to.add("exponent", exponent)
    low = design.acc_min_exp
    return Number(acc.width, low, design.acc_max_exp, exponent, False, acc.normalize.coarse is None)


def _float_exponent(design: Design) -> int:
    """Width of the exponent of a state."""
    floats = sum(isinstance(fmt, Minifloat) for fmt in (design.a, design.b))
    base = design.product_min_exp - (0 if design.product.adds_codes else floats)
    return (design.acc_max_exp - base - min(design.acc_min_exp - base, 0)).bit_length()


def _exact(design: Design, to: Builder) -> Number:
    bits = design.sum_bits
    if _is_integer(design):
        _integer_product(design, to)
    else:
        _multiply(design, to)
        _widen(design.product_bits, design.product_max_exp - design.product_min_exp, to)
        to("invert", design.bits_for(1))
    to("add", bits, bits)
    top = design.lsb_exp + bits - 2
    return Number(bits - 1, top, top, 0, _is_signed(design), False)


def _widen(bits: int, span: int, to: Builder, kept: int | None = None) -> None:
    """Count a shifter to the left whose value grows from stage to stage.

    If only so many low bits of the result are ``kept``, no stage has bits that cannot get there.
    """
    stages = span.bit_length()
    widths = [min(bits + span, bits + (2 << n) - 1) for n in range(stages)]
    if kept is not None:
        widths = [min(w, kept + max(span - (2 << n) + 1, 0)) for n, w in enumerate(widths)]
    to("shift", sum(widths), stages)


def _fixed(design: Design, to: Builder) -> Number | None:
    acc = design.accumulate
    assert isinstance(acc, FixedAccumulation)
    fmt = acc.format
    assert isinstance(fmt, FixedPoint)
    saturates = acc.overflow is Overflow.SATURATE
    largest = max(map(abs, design.product_range)).bit_length() + design.lsb_exp - fmt.lsb_exp
    addend = min(max(largest, 0), fmt.width + saturates) + 1
    rounds = acc.round is not Rounding.TRUNCATE
    if _is_integer(design):
        _integer_product(design, to)
        drop = fmt.lsb_exp - design.lsb_exp
        if drop > 0:
            to("any", min(drop, design.product_bits), 1)
        if drop and saturates:
            to.add("any", max(largest - fmt.width, 0))
    else:
        _multiply(design, to)

        def left(exponent: int) -> int:
            bits = design.product_bits
            return min(max(exponent - (bits - 1) - fmt.lsb_exp, -(bits + 1)), fmt.width)

        low, high = left(design.product_min_exp), left(design.product_max_exp)
        # What is below the format matters only if it rounds; what is above, if it saturates.
        below = -low if low < 0 and rounds else 0
        _widen(design.product_bits, high - low, to, below + addend)
        exponents = (design.product_max_exp - design.product_min_exp).bit_length()
        to("exponent", exponents, exponents)
        if low < 0:
            to("any", (1 + rounds) * min(-low, design.product_bits), 1)
        to("invert", addend)
    to("add", max(fmt.width, addend) + 1, max(fmt.width, addend) + 1)
    if saturates:
        to("clamp", fmt.width)
        to.add("any", max(addend - fmt.width, 1))
    if design.out == fmt and not specials(design):
        return None
    return Number(fmt.width - 1, fmt.max_exp, fmt.max_exp, 0, True, False)


def _rounded(design: Design, to: Builder) -> Number | None:
    acc = design.accumulate
    assert isinstance(acc, RoundedAccumulation)
    fmt = acc.format
    assert isinstance(fmt, Minifloat)
    _multiply(design, to)
    _unpack(fmt, to)
    product, kept = design.product_bits, fmt.sig_bits
    window, shift, exponent = _window(design, fmt)
    top = max(product, kept)
    to("exponent", 2 * (exponent + 1), exponent)
    to.add("choose", top + exponent)
    to("choose", product + kept)
    to.shift(window, window)
    to.add("any", window)
    to("invert", 2 * window, 2)
    to("add", top, top)
    stages = shift.bit_length()
    to("shift", sum(min(window, kept + (2 << n)) for n in range(stages)), stages)
    to("any", sum(min(1 << n, window) for n in range(stages)), stages)
    to("negate", kept + exponent, kept + exponent)
    to.add("exponent", 2 * exponent)
    to("clamp", fmt.width * (1 + specials(design)))
    if isinstance(design, Fma) or (design.out == fmt and _codes_special(design, fmt)):
        return None
    return Number(kept, fmt.min_exp, fmt.max_exp, fmt.exp_bits, False, False)


def _window(design: Design, fmt: Minifloat) -> tuple[int, int, int]:
    """Width of the window of a fused multiply-add, greatest shift, width of exponents."""
    product, bits = design.product_bits, fmt.sig_bits
    ends = [(design.product_max_exp, 1)]
    if design.product is Product.EXACT:
        ends = [(x + y + 1, p + q + 1) for x, p in _zeros(design.a) for y, q in _zeros(design.b)]
    staying = [zeros for top, zeros in ends if top > fmt.min_exp]
    window = max(product + 1, bits + 2, *(zeros + bits + 2 for zeros in staying))
    shift = max(product + 1, *(zeros + bits + 1 for zeros in staying))
    high = max(top for top, _ in ends) + 1 - fmt.min_exp
    reach = max(high, _exponents(fmt) + 1)
    return window, min(shift, reach), reach.bit_length()


def _zeros(fmt: Format) -> list[tuple[int, int]]:
    """Exponents of operands, and most zeros above the leading one at that exponent."""
    if isinstance(fmt, FixedPoint):
        return [(fmt.max_exp, fmt.sig_bits - 1)]
    assert isinstance(fmt, Minifloat)
    return [(fmt.max_exp, 0), (fmt.min_exp, 0 if fmt.ftz else fmt.man_bits)]


#: What counts a step, by kind of accumulation.
STEPS: dict[type, Callable[[Design, Builder], Number | None]] = {
    FloatAccumulation: _float,
    ExactAccumulation: _exact,
    FixedAccumulation: _fixed,
    RoundedAccumulation: _rounded,
}


# --- Single operations -----------------------------------------------------------------------


def _multiplier(design: Design, to: Builder) -> Number | None:
    bits, low = design.product_bits, design.product_min_exp
    if _is_integer(design) and isinstance(design.out, FixedPoint):
        _integer_product(design, to)
        bits = design.bits_for(1) - 1
        top = design.lsb_exp + bits - 1
        return Number(bits, top, top, 0, _is_signed(design), False)
    _multiply(design, to)
    if design.product.adds_codes and design.out == design.a:
        assert isinstance(design.a, Minifloat)
        to.add("clamp", design.a.magnitude_bits * bool(specials(design)))
        return None
    exponent = (design.product_max_exp - low).bit_length()
    return Number(bits, low, design.product_max_exp, exponent, False, False)


def _adder(design: Design, to: Builder) -> Number:
    a, b, out = design.a, design.b, design.out
    if _is_integer(design):
        lsb = min(a.lsb_exp, b.lsb_exp)
        bits = max(fmt.width + fmt.lsb_exp - lsb for fmt in (a, b)) + 1
        to("add", bits, bits)
        if not (a.signed or b.signed):
            return Number(bits, lsb + bits - 1, lsb + bits - 1, 0, False, False)
        return Number(bits - 1, lsb + bits - 2, lsb + bits - 2, 0, True, False)
    for fmt in (a, b):
        _unpack(fmt, to)
    base = min(a.min_exp, b.min_exp)
    width = max(a.sig_bits, b.sig_bits)
    exponent = (max(a.max_exp, b.max_exp) - base).bit_length()
    kept = out.sig_bits if isinstance(out, Minifloat) else out.width + 1
    nearest = design.out_round in (Rounding.RNE, Rounding.RNA)
    window = width + min(max(kept - width + 1 + nearest, 1) + 1, (1 << exponent) - 1)
    for fmt in (a, b):
        places = 0 if isinstance(fmt, Minifloat) and fmt.ftz else fmt.min_exp - base
        if places := min(places, fmt.sig_bits - 1):
            to("count", places, places.bit_length())
            to.shift(fmt.sig_bits, places)
            to("exponent", exponent, exponent)
        if fmt.min_exp > base:
            to.add("exponent", exponent * isinstance(fmt, Minifloat))
            to.add("clamp", exponent)
    compare = width + exponent
    if a == b and isinstance(a, Minifloat):
        compare = a.magnitude_bits
    to("compare", compare, compare)
    to("choose", 2 * (width + exponent))
    to("exponent", exponent, exponent)
    to.shift_down(width, window, min(window - 1, (1 << exponent) - 1))
    to.add("any", window)
    to("invert", window)
    to("add", width, window)
    to.add("negate", window - width)
    high = max(a.max_exp, b.max_exp) + 1
    return Number(window + 1, base + 1, high, exponent, False, False)


# --- Rounding to the result ------------------------------------------------------------------


def convert(design: Design, number: Number, to: Builder) -> None:
    """Count the rounding of a number to the result."""
    if isinstance(design.out, Minifloat):
        _to_minifloat(design, design.out, number, to)
    else:
        assert isinstance(design.out, FixedPoint)
        _to_fixed(design, design.out, number, to)


def _to_minifloat(design: Design, out: Minifloat, x: Number, to: Builder) -> None:
    low, high = x.low - out.min_exp, x.high - out.min_exp
    keep = out.sig_bits + 1
    searched = 0 if x.normal and low <= 0 else min(x.bits, max(high, 0) + 1)
    if x.complement:
        to("invert", x.bits + keep, 2)
    if x.exponent_bits:
        width = max(abs(low), abs(high), 1).bit_length() + 1
        to("exponent", 2 * width, width)
        to.add("any", max(min(high, searched - 1) - max(low, 0) + 1, 0))
    if searched > 1:
        to("count", searched, searched.bit_length())
        stages = (searched - 1).bit_length()
        seen = (min(keep + (1 << n) - 1, x.bits) for n in range(stages))
        to("shift", sum(seen), stages)
        to.add("any", max(x.bits - keep, 0))
    kept = min(keep + 1, x.bits)
    if x.exponent_bits and low < 0:
        to.shift(kept, min(-low, keep))
        to.add("choose", kept)
    field = max(out.exp_bits, (max(high, 0) + 2).bit_length())
    lost = x.bits > out.sig_bits or low - (x.bits - 1) < -out.man_bits
    if x.complement or lost:
        to("negate", min(out.man_bits, x.bits) + field, min(out.man_bits, x.bits) + field)
    if x.exponent_bits or searched > 1:
        to("exponent", field, field)
        to.add("clamp", field)
    width = 1 + out.exp_bits + min(out.man_bits, x.bits)
    if high > out.max_exp - out.min_exp:
        to("compare", out.man_bits + field, 1)
        to("clamp", width)
    to.add("clamp", width * bool(specials(design)))
    to.add("any", x.bits)


def _to_fixed(design: Design, out: FixedPoint, x: Number, to: Builder) -> None:
    if x.exponent_bits:
        window = max(min(out.width + x.bits - 1, x.high - out.lsb_exp + 1), 1)
        most = max(window - 1 + out.lsb_exp - x.low, 0)
        to("exponent", x.exponent_bits + 1, x.exponent_bits)
        wide = max(window + 2, x.bits)
        to.shift_down(x.bits, wide, min(most, wide))
        to.add("any", wide)
        to("invert", out.width)
        to("negate", out.width, out.width)
        to.add("clamp", out.width)
    else:
        lsb = x.high - x.bits + 1
        drop = out.lsb_exp - lsb
        to("any", min(max(drop, 0), x.bits), 1)
        if drop > 0:
            to("negate", min(out.width, max(x.bits - drop, 1)), min(out.width, x.bits))
        to("any", max(x.bits - max(drop, 0) - out.width, 0), 1)
    if design.out_overflow is not Overflow.WRAP and _exceeds(out, x):
        to("clamp", out.width)
    to.add("clamp", out.width * bool(specials(design)))


def _exceeds(out: FixedPoint, x: Number) -> bool:
    """Whether some of the numbers are not in the range of a format."""
    top = out.lsb_exp + out.width - 1 - out.signed
    return (x.complement and not out.signed) or x.high > top


# --- States --------------------------------------------------------------------------------------


def state_bits(design: Design) -> int:
    """Width of the state of a chain, in bits."""
    acc = design.accumulate
    if isinstance(acc, FloatAccumulation):
        return acc.width + _float_exponent(design) + 1 + specials(design)
    if isinstance(acc, FixedAccumulation):
        return acc.format.width + specials(design)
    if isinstance(acc, RoundedAccumulation):
        return acc.format.width + (0 if _codes_special(design, acc.format) else specials(design))
    return design.sum_bits + specials(design)


def _codes_special(design: Design, fmt: Format) -> bool:
    """Whether a format has codes for all NaN and infinities of a chain."""
    found = specials(design)
    return not found or (fmt.has_infinities if found == 2 else fmt.has_nan)
