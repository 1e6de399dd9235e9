"""Running a sweep: every step of every design that counts, each result kept as it comes."""

import hashlib
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from minimac.cost import Cache
from minimac.explore.columns import FACTS, OF_ALL, QUALITIES, broken, columns, facts, row
from minimac.explore.fronts import on_fronts, sense
from minimac.explore.results import DesignResult, Journal, Results, StepResult
from minimac.explore.screen import Judged, Looking, choose, enumerable, search
from minimac.explore.space import Point
from minimac.explore.steps import Done, Step, code_digest, installed, tools
from minimac.explore.sweep import Sweep, check_simulator, metrics_of
from minimac.explore.workers import Batch, Workers, workers
from minimac.spec import SpecError
from minimac.spec.files import make_folder, write_whole

__all__ = ["Watch", "run"]

#: Called with a step, its result, and the numbers of finished and of all steps known of.
Watch = Callable[[Step, StepResult, int, int], None]

#: How often results.json is written while a sweep runs, in s.
_WRITE_S = 10.0

#: Designs that are judged in one go.
_BATCH = 20

#: Designs that were judged and not measured, of which results.json and the report show the nearest.
_SHOWN = 1000


def run(
    sweep: Sweep,
    out_dir: Path | str,
    jobs: int = 2,
    watch: Watch | None = None,
    scheduler: str | None = None,
    looking: Looking | None = None,
) -> Results:
    """Run a sweep, or what is left of it.

    Each design is generated into ``out_dir/<design>/``, judged, costed in each technology on the
    operands of the network, and simulated on random, directed and the network's operands. Of more
    designs than the sweep measures, all, or those that a search finds, are judged by prediction
    first, and those on or near a predicted front are measured. A step that fails is recorded with
    its reason and stops nothing. Steps that were finished before, with the same inputs and the same
    code, are not done again.

    Parameters
    ----------
    sweep : Sweep
    out_dir : Path or str
        Gets ``results.jsonl``, ``results.json``, ``screened.csv`` where designs were judged by
        prediction, and a folder with files and logs for each measured design.
    jobs : int
        Worker processes; 0 runs the steps in this process, and keeps no logs.
    watch : callable, optional
        Called after each step with it, its result, and the numbers of finished and of all steps
        known of.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers are used instead.
    looking : callable, optional
        Called now and then before the first step, while designs are looked for, with the numbers of
        combinations looked at and of all, and of designs found.

    Raises
    ------
    SpecError
        If ``out_dir`` cannot be written to, or has the results of a sweep of another name; if the
        simulator is not installed, or the scheduler is not there.
    ValueError
        If ``jobs`` is negative.
    """
    if sweep.simulate != "none":
        check_simulator(sweep.simulator)
    folder = make_folder(Path(out_dir))
    other = Journal(folder).sweep()
    if other not in (None, sweep.name):
        raise SpecError(
            f"{folder}: has the results of sweep {other}; write those of {sweep.name} elsewhere, "
            "with -o, or remove this folder"
        )
    with workers(jobs, scheduler) as hands:
        return _Run(sweep, folder, hands, watch).results(looking)


class _Run:
    """A sweep under way."""

    def __init__(self, sweep: Sweep, out_dir: Path, hands: Workers, watch: Watch | None) -> None:
        self._sweep = sweep
        self._out_dir = out_dir
        self._hands = hands
        self._watch = watch
        self._journal = Journal(out_dir)
        self._earlier = self._journal.read()
        self._cache = Cache()
        self._found: dict[tuple[str, str], StepResult] = {}
        self._done = 0
        self._planned = 0
        self._results: Results | None = None
        every = (*sweep.technologies, *sweep.front_technologies)
        self._placed = {f"cost:{name}" for name in every if "luts" in metrics_of(name)}
        self._next_write = 0.0

    def results(self, looking: Looking | None) -> Results:
        """Do everything, and return what was found."""
        sweep = self._sweep
        points = enumerable(sweep, looking)
        judged: list[Judged] = []
        if points is None or len(points) > sweep.measure:
            self._planned = min(sweep.screen, sweep.size) * len(self._judging())
            judged = search(sweep, points, self._judge)
            objectives = sweep.all_objectives
            chosen = choose(judged, objectives, sweep.measure)
            if not chosen:
                raise SpecError(
                    f"limits: no design of {sweep.name} is predicted to keep them"
                    if any(entry.broken for entry in judged)
                    else f"objectives: nothing of {', '.join(objectives)} is predicted of any "
                    f"design of {sweep.name}; have other objectives, or raise measure"
                )
            self._write_screened(judged)
            points = [judged[n].point for n in chosen]
            measured = set(chosen)
            nearest = choose(judged, objectives, sweep.measure + _SHOWN)
            shown = [entry.point for n, entry in enumerate(judged) if n in measured | {*nearest}]
        else:
            shown = points
        self._planned = self._done
        results = Results(
            sweep=sweep.name,
            conditions=_conditions(sweep),
            technologies=[*sweep.technologies, *sweep.front_technologies],
            objectives=sweep.all_objectives,
            limits=[limit.text for limit in sweep.limits],
            space={
                "designs": sweep.size if judged and len(judged) < sweep.size else len(shown),
                "screened": len(judged),
                "measured": len(points),
            },
            designs=[_blank(point) for point in shown],
        )
        self._results = results
        try:
            self._measure(points)
            self._fill(results)
            self._finish_front(results, points)
        finally:
            self._write()
        return results

    def _write(self, now_and_then: bool = False) -> None:
        """Write what has been found so far, if there is something to be shown."""
        if self._results is None or (now_and_then and time.monotonic() < self._next_write):
            return
        began = time.monotonic()
        self._fill(self._results)
        self._journal.write(self._results)
        ended = time.monotonic()
        self._next_write = ended + max(_WRITE_S, 20 * (ended - began))

    def _judging(self) -> list[str]:
        """Return the steps that judge a design without synthesis."""
        from minimac.cost.prediction import technologies

        predicted = [t for t in self._sweep.technologies if t in technologies()]
        return [*self._sweep.quality, *(f"predict:{technology}" for technology in predicted)]

    def _judge(self, points: Sequence[Point]) -> list[Judged]:
        names = self._judging()
        self._do(points, names, together=_BATCH)
        entries = []
        for point in points:
            design = _blank(point)
            self._fill_design(design)
            values = self._values(design)
            entries.append(Judged(point, values, self._broken(design, values, lenient=True)))
        return entries

    def _measure(self, points: Sequence[Point]) -> None:
        names = ["generate", *self._sweep.quality]
        names += [f"cost:{technology}" for technology in self._sweep.technologies]
        if self._sweep.simulate == "all":
            names.append("simulate")
        self._do(points, names)

    def _finish_front(self, results: Results, points: Sequence[Point]) -> None:
        """Do what is done for designs on a front only, now that it is known."""
        names = [f"cost:{technology}" for technology in self._sweep.front_technologies]
        if self._sweep.simulate == "front":
            names.append("simulate")
        if not names:
            return
        shown = columns(results)
        measured = {point.design.name: point for point in points}
        among = [
            design for design in results.designs if design.name in measured and not broken(design)
        ]
        front = on_fronts([row(design, shown) for design in among], results.objectives)
        self._do([measured[d.name] for d, on in zip(among, front, strict=True) if on], names)

    def _do(self, points: Sequence[Point], names: Sequence[str], together: int = 0) -> None:
        """Do steps of designs: each by itself, or all of some designs at once."""
        steps = [
            [
                Step(
                    design=point.design,
                    name=name,
                    workload=self._sweep.workload,
                    scales=self._sweep.scales,
                    simulator=self._sweep.simulator,
                    seed=self._sweep.seed,
                    dsp=self._sweep.dsp if name in self._placed else None,
                )
                for name in names
            ]
            for point in points
        ]
        wanted = [step for own in steps for step in own if _id(step) not in self._found]
        self._planned = max(self._planned, self._done + len(wanted))
        left: dict[str, list[Step]] = {}
        for step in wanted:
            if step.key in left:
                left[step.key].append(step)  # of a design that only differs where it is no matter
            elif (found := self._known(step)) is not None:
                self._finish(step, found)
            else:
                left[step.key] = [step]
        first = [same[0] for same in left.values()]
        size = together * len(names) or 1
        batches: list[Batch] = [tuple(first[at : at + size]) for at in range(0, len(first), size)]
        for batch, done in self._hands.do(batches):
            self._keep(batch, done)
            self._write(now_and_then=True)
            for step, one in zip(batch, done, strict=True):
                for same in left[step.key]:
                    self._finish(same, one.result)

    def _known(self, step: Step) -> StepResult | None:
        """Return what an earlier run found, here or elsewhere, with the files that belong to it."""
        found = self._earlier.get(step.key)
        if found is not None and self._still_there(step, found):
            return found
        kept = self._cache.load(_cache_key(step))
        if kept is None:
            return None
        result = StepResult(ok=True, seconds=kept["seconds"], result=kept["result"])
        done = Done(result=result, files=kept["files"])
        self._write_files(step, done)
        self._journal.append([(step.key, step.design.name, step.name, result)])
        return result

    def _keep(self, batch: Batch, done: Sequence[Done]) -> None:
        for step, one in zip(batch, done, strict=True):
            self._write_files(step, one)
            if one.result.ok and not step.name.startswith("predict:"):
                kept = {"seconds": one.result.seconds, "result": one.result.result}
                files = {name: text for name, text in one.files.items() if text is not None}
                self._cache.store(_cache_key(step), {**kept, "files": files})
        self._journal.append(
            [
                (step.key, step.design.name, step.name, one.result)
                for step, one in zip(batch, done, strict=True)
            ]
        )

    def _write_files(self, step: Step, done: Done) -> None:
        folder = self._out_dir / step.design.name
        for name, text in done.files.items():
            if text is not None:
                write_whole(make_folder(folder) / name, text)
            else:
                (folder / name).unlink(missing_ok=True)

    def _still_there(self, step: Step, found: StepResult) -> bool:
        """Whether the files that a step wrote are as it left them."""
        files = found.result.get("files", {})
        folder = self._out_dir / step.design.name
        return isinstance(files, dict) and all(
            _digest(folder / name) == digest for name, digest in files.items()
        )

    def _finish(self, step: Step, result: StepResult) -> None:
        self._done += 1
        self._found[_id(step)] = result
        if self._watch:
            self._watch(step, result, self._done, max(self._planned, self._done))

    def _fill(self, results: Results) -> None:
        """Put what was found into the results, in one order whatever was finished first."""
        for design in results.designs:
            self._fill_design(design)
            if not self._sweep.limits:
                continue
            if limits := self._broken(design, self._values(design)):
                result = {"broken": list(limits)}
                design.steps["limits"] = StepResult(ok=True, seconds=0.0, result=result)

    def _fill_design(self, design: DesignResult) -> None:
        technologies = [*self._sweep.technologies, *self._sweep.front_technologies]
        names = ["generate", *self._sweep.quality]
        names += [f"{verb}:{t}" for verb in ("predict", "cost") for t in technologies]
        design.steps.clear()
        for name in [*names, "simulate"]:
            found = self._found.get((design.name, name))
            if found is not None:
                design.steps[name] = found

    def _values(self, design: DesignResult) -> dict[str, Any]:
        """Return what is known of a design by itself, by column."""
        technologies = [*self._sweep.technologies, *self._sweep.front_technologies]
        alone = Results(sweep="", conditions={}, technologies=technologies, designs=[design])
        return {**row(design, columns(alone)), **facts(design)}

    def _broken(
        self, design: DesignResult, values: dict[str, Any], lenient: bool = False
    ) -> tuple[str, ...]:
        """Return the limits that a design does not keep, as far as is known.

        To be lenient is to lessen what is estimated, and to take as kept what is not known: some
        technologies have no predictions, or not of all figures.
        """
        names: dict[str, Any] = {}
        for key, value in values.items():
            technology, dot, metric = key.rpartition(".")
            if not dot:
                names[key] = value
                continue
            errors = design.found(f"predict:{technology}").get("errors", {}) if lenient else {}
            error = errors.get(OF_ALL.get(metric, metric))
            if value is not None and error is not None:
                value *= (1 - error) ** sense(key)
            names.setdefault(technology, {})[metric] = value
        found = []
        for limit in self._sweep.limits:
            try:
                if not limit(names):
                    found.append(limit.text)
            except SpecError:  # of a figure that there is none of
                if not lenient:
                    found.append(f"{limit.text} (unknown)")
        return tuple(found)

    def _write_screened(self, judged: Iterable[Judged]) -> None:
        """Write a table of all that was judged by prediction."""
        import csv
        import io

        judged = list(judged)
        axes = list(dict.fromkeys(axis for entry in judged for axis in entry.point.axes))
        keys = [
            key
            for key in dict.fromkeys(key for entry in judged for key in entry.values)
            if key in QUALITIES or key in FACTS or "." in key
        ]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["design", *axes, *keys, "broken"])
        for entry in judged:
            own = [entry.point.axes.get(axis) for axis in axes]
            figures = [entry.values.get(key) for key in keys]
            writer.writerow([entry.point.design.name, *own, *figures, "; ".join(entry.broken)])
        write_whole(self._out_dir / "screened.csv", text.getvalue())


def _blank(point: Point) -> DesignResult:
    design = point.design
    return DesignResult(
        name=design.name,
        arithmetic=design.summary(),
        design=design.as_dict(),
        axes=dict(point.axes),
    )


def _id(step: Step) -> tuple[str, str]:
    return step.design.name, step.name


def _cache_key(step: Step) -> dict[str, Any]:
    return {"step": step.key}


def _digest(path: Path) -> str:
    """Hash of a file; nothing if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _conditions(sweep: Sweep) -> dict[str, Any]:
    return {
        "minimac": installed("minimac"),
        "code": code_digest(),
        "workload": sweep.workload,
        "scales": sweep.scales,
        **({} if sweep.dsp is None else {"dsp": sweep.dsp}),
        "simulator": sweep.simulator,
        "seed": sweep.seed,
        "python": platform.python_version(),
        "tools": tools(),
    }
