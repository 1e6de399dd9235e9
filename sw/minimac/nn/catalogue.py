"""The workloads that there are."""

from collections.abc import Callable

from minimac.nn.classifiers import digits
from minimac.nn.transformer import minilm
from minimac.nn.workload import Workload
from minimac.spec import SpecError
from minimac.spec.errors import nearest

__all__ = ["CLASSIFIERS", "WORKLOADS", "workload_named"]

#: Workloads by name: what makes each of them.
WORKLOADS: dict[str, Callable[[], Workload]] = {"digits": digits, "minilm": minilm}

#: Those that have labels, and so an accuracy.
CLASSIFIERS = frozenset({"digits"})


def workload_named(name: str) -> Workload:
    """Return the workload of that name.

    Raises
    ------
    SpecError
        If there is none, or a package that it needs is not installed.

    Examples
    --------
    >>> workload_named("faces")
    Traceback (most recent call last):
        ...
    minimac.spec.errors.SpecError: workload must be one of digits, minilm, not 'faces'
    """
    if name not in WORKLOADS:
        known = ", ".join(WORKLOADS)
        raise SpecError(f"workload must be one of {known}, not {name!r}{nearest(name, WORKLOADS)}")
    return WORKLOADS[name]()
