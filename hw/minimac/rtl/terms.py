"""Terms of an accumulation that are sums themselves: of chunks, or of blocks."""

from dataclasses import dataclass

from minimac.spec import Arithmetic

__all__ = ["Terms"]


@dataclass(frozen=True, kw_only=True)
class Terms(Arithmetic):
    """What an outer accumulation adds up: sums ``a``, times ``b``.

    Such a term counts as an operand would, not as a product: ``b`` adds nothing to its width.

    Parameters
    ----------
    whole : Arithmetic
        The accumulation that they belong to.
    """

    whole: Arithmetic

    @property
    def product_bits(self) -> int:
        """Width of a term's magnitude, in bits."""
        return self.a.sig_bits

    @property
    def has_nan(self) -> bool:
        """Whether a chain can become NaN."""
        return self.whole.has_nan

    @property
    def has_infinities(self) -> bool:
        """Whether a chain can become infinite."""
        return self.whole.has_infinities
