"""Designs: everything there is to choose about a unit, and what follows from it.

The fields are of two sorts. :class:`minimac.spec.arithmetic.Arithmetic` holds those that change
results and are known to the model; :class:`minimac.spec.implementation.Implementation` those that
never do.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from minimac.spec.accumulation import ExactAccumulation, RoundedAccumulation, plain
from minimac.spec.arithmetic import Arithmetic
from minimac.spec.blocks import BlockFormat
from minimac.spec.errors import SpecError
from minimac.spec.formats import FixedPoint, Format, Minifloat
from minimac.spec.implementation import Implementation
from minimac.spec.products import Product
from minimac.spec.rounding import Overflow, Rounding

__all__ = ["Adder", "ArrayShape", "Design", "Fma", "Mac", "Multiplier", "Systolic"]

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

    def as_dict(self) -> dict[str, Any]:
        """Return the design as a design file would have it; :func:`load_design` reads it back."""
        fields = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        if self.within is None:
            del fields["within"]
        return {"name": self.name, "unit": self.unit} | dict(sorted(fields.items()))

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {"a": self.a, "b": self.b}

    @property
    def digest(self) -> str:
        """Short hash of the design; designs that differ in any field differ in it."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Mac(Design):
    """One processing element with its foot: a dot product, one pair of operands a transfer."""

    unit: ClassVar[str] = "mac"


@dataclass(frozen=True, kw_only=True)
class Multiplier(Design):
    """Product of two numbers, rounded once.

    A product of zero has the sign of IEEE 754 where ``out`` has a negative zero.
    """

    unit: ClassVar[str] = "multiplier"

    def __post_init__(self) -> None:
        _round_once(self)
        super().__post_init__()

    def summary(self) -> str:
        """Describe the arithmetic in a few words."""
        return _summarize(self, "x" if self.product is Product.EXACT else str(self.product))


@dataclass(frozen=True, kw_only=True)
class Adder(Design):
    """Sum of two numbers, rounded once, with the signs of zero of IEEE 754."""

    unit: ClassVar[str] = "adder"

    def __post_init__(self) -> None:
        _round_once(self)
        if self.product != Product.EXACT:
            raise SpecError("product: an adder multiplies nothing; leave this key out")
        super().__post_init__()

    def summary(self) -> str:
        """Describe the arithmetic in a few words.

        Examples
        --------
        >>> from minimac.spec import load_design
        >>> load_design({"name": "m", "unit": "adder", "a": "e5m2", "b": "int8",
        ...     "out": "bf16"}).summary()
        'e5m2 + int8 -> bf16, rne'
        """
        return _summarize(self, "+")


def _check_scalar(design: Design) -> None:
    """Refuse blocks, of which a unit would need more than one pair of elements."""
    for key, fmt in (("a", design.a), ("b", design.b)):
        if isinstance(fmt, BlockFormat):
            raise SpecError(f"{key}: {design.unit} takes scalar formats, not {fmt.name}")


def _summarize(design: Design, sign: str, third: str = "") -> str:
    return f"{design.a.name} {sign} {design.b.name}{third} -> {design.out.name}, {design.out_round}"


def _round_once(design: Design) -> None:
    """Fill in how a single product or sum is accumulated: not at all."""
    _check_scalar(design)
    if design.accumulate is not None and design.accumulate.kind != "exact":
        raise SpecError(f"accumulate: a {design.unit} rounds once; leave this key out")
    object.__setattr__(design, "accumulate", ExactAccumulation(max_terms=1))


@dataclass(frozen=True, kw_only=True)
class Fma(Design):
    """Fused multiply-add of IEEE 754: a product and a number of the result's format, rounded once.

    ``accumulate`` is ``rounded`` in the format of ``out``, which need not be said. So overflow is
    that of IEEE 754 where ``out`` has infinities, and saturates elsewhere.
    """

    unit: ClassVar[str] = "fma"

    def __post_init__(self) -> None:
        _check_scalar(self)
        if not isinstance(self.out, Minifloat) or not self.out.signed:
            raise SpecError(f"out: must be a signed minifloat, not {self.out.name}")
        if Rounding(self.out_round).stochastic:
            raise SpecError(f"out_round: must not be stochastic in an fma, as {self.out_round} is")
        own = RoundedAccumulation(format=self.out, round=self.out_round)
        if self.accumulate is None:
            object.__setattr__(self, "accumulate", own)
        super().__post_init__()
        if self.accumulate != own:
            raise SpecError(
                f"accumulate: an fma rounds once, to out ({own.describe()}); leave this key out"
            )
        infinity = [Overflow.INFINITY] if self.out.has_infinities else []
        if self.out_overflow not in (Overflow.SATURATE, *infinity):
            raise SpecError(
                f"out_overflow: must be {'infinity or ' if infinity else ''}left out, for an fma "
                f"overflows as IEEE 754 says, not {self.out_overflow}"
            )

    @property
    def operands(self) -> dict[str, Format]:
        """Formats of the operands, by name."""
        return {**super().operands, "c": self.out}

    @property
    def has_nan(self) -> bool:
        """Whether a result can be NaN: ``c`` may bring it, too."""
        return self.out.has_nan or super().has_nan

    def summary(self) -> str:
        """Describe the arithmetic in a few words."""
        sign = "x" if self.product is Product.EXACT else str(self.product)
        return _summarize(self, sign, f" + {self.out.name}")


@dataclass(frozen=True, kw_only=True)
class ArrayShape:
    """Rows and columns of an array, and how it is built; only ``rows`` and ``columns`` show.

    Parameters
    ----------
    rows, columns : int
        Products in a chain on each pass, and chains side by side.
    dataflow : {"ws", "os", "broadcast"}
        ``ws``: weight-stationary, sums move south. ``os``: output-stationary, sums stay.
        ``broadcast``: weights stay, a vector reaches all columns at once, and a tree adds up the
        products of each; for exact sums.
    encode : {"none", "booth", "ent"}
        Where integers are multiplied, recode activations once at the edge of the array and not in
        every element: radix-4 Booth, or the shorter code of EN-T (arXiv 2404.11887).
    double_buffer : bool
        Whether the next weights are loaded while the present ones are in use.
    foot : {"column", "shared"}
        A foot for each column, or one that the columns take in turn.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    rows: int = 8
    columns: int = 8
    dataflow: Literal["ws", "os", "broadcast"] = "ws"
    encode: Literal["none", "booth", "ent"] = "none"
    double_buffer: bool = False
    foot: Literal["column", "shared"] = "column"

    def __post_init__(self) -> None:
        for key in ("rows", "columns"):
            if not 1 <= getattr(self, key) <= 1024:
                raise SpecError(f"{key} must be 1 to 1024, not {getattr(self, key)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the shape as a design file would have it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Systolic(Design):
    """An array of processing elements that multiplies matrices."""

    unit: ClassVar[str] = "systolic"

    array: ArrayShape = ArrayShape()

    def __post_init__(self) -> None:
        super().__post_init__()
        array, exact = self.array, self.accumulate.kind == "exact"
        if array.dataflow == "broadcast" and not exact:
            raise SpecError(
                "array.dataflow: broadcast adds products in a tree, so accumulate.kind must be "
                f"exact, not {self.accumulate.kind}; use ws or os to keep it"
            )
        if array.dataflow == "os" and array.double_buffer:
            raise SpecError("array.double_buffer: os holds no weights; leave this key out")
        if array.encode == "none":
            return
        for key, fmt in (("a", self.a), ("b", self.b)):
            if not isinstance(fmt, FixedPoint):
                raise SpecError(
                    f"array.encode: {array.encode} is for integers and fixed point, and {key} is "
                    f"{fmt.name}; leave this key out"
                )
        if not exact:
            raise SpecError(
                f"array.encode: {array.encode} needs accumulate.kind exact, not "
                f"{self.accumulate.kind}; leave this key out"
            )
