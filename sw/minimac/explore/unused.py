"""Values of axes that no design has: slips that a search for designs would pass over."""

import itertools
import random
from collections.abc import Iterable, Sequence

from minimac.explore.space import ENUMERABLE, ConditionError, Space
from minimac.spec import SpecError
from minimac.spec.errors import short_value

__all__ = ["check_values"]

#: Combinations that are drawn of a space that is not looked at as a whole.
_DRAWN = 300

#: Values at either end of an axis that are tried there: those between are of a range.
_ENDS = 50

#: Designs of which, there, each refuses a value in the same words: then it is the value.
_ALIKE = 8


def check_values(space: Space, start: Sequence[int]) -> None:
    """Refuse a space with a value that no design has, and not since ``where`` keeps it away.

    Up to :data:`ENUMERABLE` combinations all are looked at that are needed to tell. Of more, a
    value counts as refused if it cannot stand in any of the designs at hand, some drawn at random,
    for the same reason in all: one that depends on other values as well is said in other words.

    Parameters
    ----------
    space : Space
    start : sequence of int
        Where a design is, as :meth:`Space.example` returns it.

    Raises
    ------
    SpecError
        The message has axis, value and what is wrong with it; or a condition cannot be worked out.
    """
    search = _Search(space)
    search.look(start)
    for axis, n in list(search.left):
        search.look(_with(start, axis, n))
    if space.size <= ENUMERABLE:
        search.look_at_all()
    elif search.left:
        search.look_at_some()
    found: list[tuple[bool, int, str]] = []
    for (axis, n), reasons in search.left.items():
        name = list(space.axes)[axis]
        value = space.axes[name][n]
        if reasons:
            said = f"axes.{name[:60]}: {short_value(value)} is in no design: {reasons[0]}"
            # By a condition a value may only ever stand beside the one that is wrong.
            found.append((str(value) not in reasons[0], len(found), said))
    if found:
        raise SpecError(min(found)[2])


class _Search:
    """Values for which no design has been found so far, and why they were refused."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._sizes = [len(values) for values in space.axes.values()]
        ends = _ENDS if space.size > ENUMERABLE else space.size
        #: Numbers of axis and value; in the order of the file.
        self.left: dict[tuple[int, int], list[str]] = {
            (axis, n): []
            for axis, size in enumerate(self._sizes)
            for n in range(size)
            if n < ends or n >= size - ends
        }
        self._designs: list[tuple[int, ...]] = []

    def look(self, indices: Sequence[int]) -> str | None:
        """Look at a combination; return why it is refused."""
        try:
            point = self._space.at(indices)
        except ConditionError:
            raise
        except SpecError as error:
            for place in enumerate(indices):
                if place in self.left:
                    self.left[place].append(str(error))
            return str(error)
        if point:
            self._designs.append(tuple(indices))
            for place in enumerate(indices):
                self.left.pop(place, None)
        return None

    def look_at_all(self) -> None:
        """Look at all combinations that have a value of those left."""
        for indices in itertools.product(*map(range, self._sizes)):
            if not self.left:
                return
            if any(place in self.left for place in enumerate(indices)):
                self.look(indices)

    def look_at_some(self) -> None:
        """Leave those values that all designs at hand refuse in the same words."""
        drawn = random.Random(0)
        for _ in range(_DRAWN):
            self.look([drawn.randrange(size) for size in self._sizes])
        designs = self._designs[:]
        drawn.shuffle(designs)
        spare = ENUMERABLE  # looks that `where` makes idle
        for place in list(self.left):
            said: list[str] = []
            for indices in designs:
                reason = self.look(_with(indices, *place))
                if reason is None:
                    spare -= 1
                    if place not in self.left or spare < 0:
                        break
                    continue
                said.append(reason)
                if reason != said[0]:
                    said.clear()
                    break
            if place in self.left:
                self.left[place] = said if len(said) >= _ALIKE else []


def _with(indices: Iterable[int], axis: int, n: int) -> list[int]:
    """Return numbers of values with another value of one axis."""
    changed = list(indices)
    changed[axis] = n
    return changed
