"""Designs: everything there is to choose about a unit, and what follows from it.

The fields are of two sorts. :class:`Arithmetic` holds those that change results and are known to
the model; :class:`Implementation` those that never do.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from minimac.spec.accumulation import Accumulation, ExactAccumulation, FloatAccumulation
from minimac.spec.errors import SpecError
from minimac.spec.formats import FixedPoint, Format
from minimac.spec.rounding import Overflow, Rounding

__all__ = ["Arithmetic", "ArrayShape", "Design", "Implementation", "Mac", "Systolic"]

# Of Verilog (IEEE 1364-2005, annex B), and those of SystemVerilog and VHDL that are plain words;
# last, names of our own and of simulators that a module of the same name would clash with.
_KEYWORDS = frozenset(
    """
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
    default defparam design disable edge else end endcase endconfig endfunction endgenerate
    endmodule endprimitive endspecify endtable endtask event for force forever fork function
    generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer join
    large liblist library localparam macromodule medium module nand negedge nmos nor not notif0
    notif1 or output parameter pmos posedge primitive pull0 pull1 pulldown pullup rcmos real
    realtime reg release repeat rnmos rpmos rtran rtranif0 rtranif1 scalared signed small specify
    specparam strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1
    triand trior trireg unsigned use vectored wait wand weak0 weak1 while wire wor xnor xor
    bit bind break byte chandle checker class clocking const constraint context continue cover
    cross dist do endclass enum export extends extern final global iff import inside int interface
    local logic longint matches modport new null package packed priority program property protected
    pure rand randc ref restrict return sequence shortint shortreal solve static string strong
    struct super tagged this throughout type typedef union unique until var virtual void weak with
    within abs access after alias all architecture array attribute block body buffer bus component
    configuration constant downto elsif entity exit file generic group guarded impure in inertial is
    label linkage loop map mod next of on open others out port postponed procedure process pure
    range record register reject rem report rol ror select severity shared signal sla sll sra srl
    subtype then to transport unaffected units until variable when
    clk rst step load TOP std
    """.split()
)


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a unit computes, to the bit: the semantic fields of a design.

    Parameters
    ----------
    a, b, out : Format
        Formats of activations, weights and results.
    accumulate : Accumulation
        How products are added up.
    product : {"exact"}
        How two operands are multiplied.
    out_round, out_overflow
        The one conversion to ``out``, at the foot.

    Raises
    ------
    SpecError
        If the parts do not fit together; the message starts with the key.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    a: Format
    b: Format
    out: Format
    accumulate: Accumulation
    product: Literal["exact"] = "exact"
    out_round: Rounding = Rounding.RNE
    out_overflow: Overflow = Overflow.SATURATE

    def __post_init__(self) -> None:
        acc = self.accumulate
        if isinstance(acc, FloatAccumulation) and acc.width < self.product_bits:
            raise SpecError(
                f"accumulate.width: must be at least {self.product_bits} to hold the product of "
                f"{self.a.name} and {self.b.name}, not {acc.width}"
            )
        if isinstance(acc, ExactAccumulation) and self.sum_bits > 4096:
            raise SpecError(
                f"accumulate: an exact sum of {self.a.name} and {self.b.name} takes "
                f"{self.sum_bits} bits; 4096 are the most; use kind float"
            )
        self._check_out()

    def _check_out(self) -> None:
        out, overflow = self.out, self.out_overflow
        if overflow is Overflow.WRAP and not (isinstance(out, FixedPoint) and not out.symmetric):
            raise SpecError(
                f"out_overflow: wrap needs a fixed-point out with all its codes, not {out.name}"
            )
        if overflow is Overflow.NAN and not out.has_nan:
            raise SpecError(f"out_overflow: nan needs an out with NaN, which {out.name} has not")
        if overflow is Overflow.INFINITY and not (out.has_infinities or out.has_nan):
            raise SpecError(
                f"out_overflow: infinity needs an out with infinities or NaN, not {out.name}"
            )
        specials = self.has_nan or self.has_infinities
        if overflow is Overflow.WRAP and specials:
            raise SpecError(
                f"out_overflow: wrap cannot express the NaN or infinity that {self.a.name} and "
                f"{self.b.name} lead to; use saturate"
            )

    @property
    def has_nan(self) -> bool:
        """Whether a chain can become NaN."""
        return self.a.has_nan or self.b.has_nan or self.has_infinities

    @property
    def has_infinities(self) -> bool:
        """Whether a chain can become infinite."""
        return self.a.has_infinities or self.b.has_infinities

    @property
    def product_bits(self) -> int:
        """Width of the integer ``P`` of a product, in bits."""
        return self.a.sig_bits + self.b.sig_bits

    @property
    def product_min_exp(self) -> int:
        """Least exponent ``ep`` of a product."""
        return self.a.min_exp + self.b.min_exp + 1

    @property
    def product_max_exp(self) -> int:
        """Greatest exponent ``ep`` of a product."""
        return self.a.max_exp + self.b.max_exp + 1

    @property
    def places(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Places for registers in an element, before a product meets the chain and after.

        In each part the most useful one first.
        """
        if isinstance(self.accumulate, FloatAccumulation):
            return ("multiply",), ("add", "align")
        if isinstance(self.a, FixedPoint) and isinstance(self.b, FixedPoint):
            return ("multiply",), ()  # no shifter whose result could be held
        return ("multiply", "align"), ()

    @property
    def lsb_exp(self) -> int:
        """Exponent of the unit of which every product, and so every sum, is a whole multiple."""
        return self.a.lsb_exp + self.b.lsb_exp

    @property
    def product_range(self) -> tuple[int, int]:
        """Least and greatest product, in units of ``2**lsb_exp``."""
        ends = [
            x * y
            for x in (self.a.min_lsbs, self.a.max_lsbs)
            for y in (self.b.min_lsbs, self.b.max_lsbs)
        ]
        return min(ends), max(ends)

    @property
    def sum_bits(self) -> int:
        """Width of an exact sum of ``max_terms`` products in two's complement: as few as it takes.

        Examples
        --------
        >>> from minimac.spec import parse_format
        >>> int8 = parse_format("int8")
        >>> exact = ExactAccumulation(max_terms=64)
        >>> Arithmetic(a=int8, b=int8, out=int8, accumulate=exact).sum_bits
        22
        """
        return self.bits_for(self.accumulate.max_terms)

    def bits_for(self, terms: int) -> int:
        """Width of every sum of so many products in two's complement, in bits."""
        low, high = (end * terms for end in self.product_range)
        return max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + 1

    @property
    def acc_min_exp(self) -> int:
        """Least exponent that the state of a ``float`` chain can have.

        Every state is a whole multiple of ``2**lsb_exp`` and its exponent is at least that of its
        leading one, or that of a product. Without normalisation it never falls.
        """
        acc = self.accumulate
        if isinstance(acc, FloatAccumulation) and acc.normalize.coarse == ():
            return self.product_min_exp
        return self.lsb_exp

    @property
    def acc_max_exp(self) -> int:
        """Greatest exponent that the state of a ``float`` chain of ``max_terms`` can have.

        The exponent only ever grows when the magnitude carries out of the window. Truncation keeps
        the magnitude below the sum of the products'; rounding to nearest or odd at most doubles a
        term's contribution; a mode that creeps adds an ulp in every step, and so a binade in every
        ``2**(width - 1)`` steps.
        """
        acc = self.accumulate
        assert isinstance(acc, FloatAccumulation)
        largest = max(map(abs, self.product_range))
        rounds = acc.round is not Rounding.TRUNCATE and acc.window_bits > acc.width
        total = acc.max_terms * largest * (2 if rounds else 1)
        top = max(self.product_max_exp, self.lsb_exp + total.bit_length() - 1)
        if acc.creeps:
            top += 1 + (acc.max_terms >> acc.width - 1)
        return top


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """How a unit is built: the fields of a design that never change a result.

    Parameters
    ----------
    pipeline : int or "auto"
        Register stages inside an element, besides the one at its output; ``auto``: as many as
        ``clock_mhz`` takes in ``technology``.
    technology : str
        What the unit is built for.
    clock_mhz : float
        Target clock, in MHz.
    """

    pipeline: int | Literal["auto"] = 0
    technology: str = "sky130"
    clock_mhz: float = 100.0

    def __post_init__(self) -> None:
        if not 0 < self.clock_mhz <= 100_000:
            raise SpecError(f"clock_mhz: must be above 0 and at most 100000, not {self.clock_mhz}")


@dataclass(frozen=True, kw_only=True)
class Design(Arithmetic, Implementation):
    """A unit, completely. ``unit`` is the word that a design file names its kind by.

    Parameters
    ----------
    name : str
        Name of the design, and of the Verilog module.
    """

    unit: ClassVar[str]

    name: str

    def __post_init__(self) -> None:
        if self.name in _KEYWORDS:
            raise SpecError(
                f"name: {self.name} is a keyword of Verilog or a name inside; choose another"
            )
        if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]{0,63}", self.name):
            raise SpecError(
                "name: must be a letter and then up to 63 letters, digits or _, "
                f"not {self.name[:80]!r}"
            )
        Implementation.__post_init__(self)
        Arithmetic.__post_init__(self)
        object.__setattr__(self, "clock_mhz", float(self.clock_mhz))
        room = len(self.register_places)
        if self.pipeline != "auto" and not 0 <= self.pipeline <= room:
            raise SpecError(
                f"pipeline: must be auto or 0 to {room} in a {self.unit} of {self.summary()}, "
                f"not {self.pipeline}"
            )

    @property
    def register_places(self) -> tuple[str, ...]:
        """Places that registers can be put in, in the order in which they are."""
        ahead, within = self.places
        return (*ahead, *within)

    @property
    def terms_per_pass(self) -> int:
        """Products that one result takes on each pass through the unit."""
        return 1

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it; :func:`load_design` reads it back."""

        def plain(value: Any) -> Any:
            if isinstance(value, Format):
                return value.name
            if isinstance(value, Accumulation):
                return value.as_dict()
            if isinstance(value, ArrayShape):
                return dataclasses.asdict(value)
            return str(value) if isinstance(value, (Rounding, Overflow)) else value

        fields = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {"name": self.name, "unit": self.unit} | dict(sorted(fields.items()))

    @property
    def digest(self) -> str:
        """Short hash of the design; designs that differ in any field differ in it."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "mac", "a": "int8", "b": "int8", "out": "int32",
        ...              "accumulate": {"kind": "exact"}}).summary()
        'int8 x int8 -> int32, exact'
        """
        acc = self.accumulate
        how = acc.kind
        if isinstance(acc, FloatAccumulation):
            how = f"float {acc.width}"
            how += f"+{acc.guard}" if acc.guard else ""
            how += " sticky" if acc.sticky else ""
            how += f" {acc.normalize}"
            how += f" {acc.round}" if acc.window_bits > acc.width else ""
        return f"{self.a.name} x {self.b.name} -> {self.out.name}, {how}"


@dataclass(frozen=True, kw_only=True)
class Mac(Design):
    """One processing element with its foot: a dot product, one pair of operands a transfer."""

    unit: ClassVar[str] = "mac"

    @property
    def register_places(self) -> tuple[str, ...]:
        """Places ahead of the chain, which comes back in the next cycle."""
        return self.places[0]


@dataclass(frozen=True, kw_only=True)
class ArrayShape:
    """Rows and columns of an array, and what stays in its elements.

    Parameters
    ----------
    rows, columns : int
        Products in a chain on each pass, and chains side by side.
    dataflow : {"ws"}
        ``ws``: weight-stationary.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    rows: int = 8
    columns: int = 8
    dataflow: Literal["ws"] = "ws"

    def __post_init__(self) -> None:
        for key in ("rows", "columns"):
            if not 1 <= getattr(self, key) <= 1024:
                raise SpecError(f"{key} must be 1 to 1024, not {getattr(self, key)}")


@dataclass(frozen=True, kw_only=True)
class Systolic(Design):
    """A weight-stationary systolic array: activations go east, partial sums south."""

    unit: ClassVar[str] = "systolic"

    array: ArrayShape = ArrayShape()

    @property
    def terms_per_pass(self) -> int:
        """Products that one result takes on each pass through the unit."""
        return self.array.rows
