"""How two operands are multiplied."""

import enum

__all__ = ["Product"]


class Product(enum.StrEnum):
    """What stands for the product of two finite operands.

    All but ``exact`` take two operands of one minifloat format and give zero if either is zero or
    subnormal. In their formulas ``M`` is the width of the mantissa.
    """

    #: The product itself.
    EXACT = "exact"

    #: ``(1 + x_m + y_m + 2**-l(M)) * 2**(x_e + y_e)`` (arXiv 2410.00907, equation 2).
    LMUL = "lmul"

    #: Codes without sign added as integers, less the bias, plus ``2**M >> l(M)``: the circuit.
    LMUL_ADD = "lmul_add"

    #: The same without that offset: Mitchell's logarithmic product.
    MITCHELL = "mitchell"

    @property
    def adds_codes(self) -> bool:
        """Whether the product is itself a code of the operands' format."""
        return self in (Product.LMUL_ADD, Product.MITCHELL)

    def offset(self, man_bits: int) -> int:
        """Return the constant that is added to mantissas of ``man_bits`` bits, in their unit.

        Examples
        --------
        >>> [Product.LMUL.offset(m) for m in (1, 2, 3, 4, 5, 7)], Product.MITCHELL.offset(3)
        ([1, 1, 1, 2, 2, 8], 0)
        """
        if self not in (Product.LMUL, Product.LMUL_ADD):
            return 0
        return 1 << man_bits - (man_bits if man_bits <= 3 else 3 if man_bits == 4 else 4)
