"""Conditions in sweep files: ``bits(a) >= bits(b)``, ``sky130.area_um2 <= 20000``."""

import ast
import functools
import operator
from collections.abc import Mapping
from typing import Any

from minimac.spec import SpecError, parse_format

__all__ = ["FUNCTIONS", "Condition"]


@functools.cache
def _bits(name: str) -> int:
    return parse_format(name).width


@functools.cache
def _significand(name: str) -> int:
    return parse_format(name).sig_bits


@functools.cache
def _family(name: str) -> str:
    return type(parse_format(name)).__name__.lower()


def _remainder(a: Any, b: Any) -> Any:
    if isinstance(a, str):  # of texts it is a way of padding, by any length
        raise TypeError("% is for numbers")
    return operator.mod(a, b)


def _power(a: Any, b: Any) -> Any:
    if abs(b) > _HIGHEST_POWER:
        raise ValueError(f"powers go up to {_HIGHEST_POWER}")
    return operator.pow(a, b)


#: Of larger powers each takes long, and there is one for each combination.
_HIGHEST_POWER = 1024

#: What can be asked of the name of a format.
FUNCTIONS = {"bits": _bits, "significand": _significand, "family": _family}


class Condition:
    """A condition between named values, in Python's syntax; only names, numbers and words.

    Parameters
    ----------
    text : str
        The condition. Parts of a mapping follow a dot. Besides arithmetic and comparisons it may
        use ``bits(format)``, ``significand(format)`` (its bits) and ``family(format)``
        (``minifloat``, ``fixedpoint``, ``codebook``, ``blockformat``, ...).

    Raises
    ------
    SpecError
        If it cannot be read.

    Examples
    --------
    >>> fits = Condition("bits(a) > bits(b) and accumulate.width <= 20")
    >>> fits({"a": "int8", "b": "e2m1", "accumulate": {"width": 16}})
    True
    >>> fits({"a": "int8"})
    Traceback (most recent call last):
        ...
    minimac.spec.errors.SpecError: 'bits(a) > bits(b) and accumulate.width <= 20': b is not known; \
known are a
    """

    def __init__(self, text: str) -> None:
        from simpleeval import DEFAULT_OPERATORS, EvalWithCompoundTypes

        self.text = text
        operators = {**DEFAULT_OPERATORS, ast.Mod: _remainder, ast.Pow: _power}
        self._evaluator = EvalWithCompoundTypes(operators=operators, functions=FUNCTIONS)
        try:
            # The evaluator's own parser takes assignments and several expressions, and drops them.
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise SpecError(
                f"{text[:80]!r}: must be a condition, such as 'bits(a) >= bits(b)'"
            ) from None

    def __call__(self, names: Mapping[str, Any]) -> bool:
        """Say whether it holds for these values.

        Raises
        ------
        SpecError
            If it uses what is not among them, or compares what cannot be compared.
        """
        from simpleeval import AttributeDoesNotExist, InvalidExpression, NameNotDefined

        self._evaluator.names = dict(names)
        try:
            return bool(self._evaluator.eval(self.text, previously_parsed=self._tree))
        except NameNotDefined as error:
            known = ", ".join(names)
            said = f"{error.name} is not known; known are {known}"
        except AttributeDoesNotExist as error:
            said = f"there is no {error.attr}"
        except SpecError as error:
            said = str(error)
        except (InvalidExpression, TypeError, ValueError, ArithmeticError, LookupError) as error:
            said = " ".join(str(error).split())
        except (AttributeError, RecursionError, MemoryError):
            said = "cannot be worked out"
        raise SpecError(f"{self.text[:80]!r}: {said[:200]}")
