"""A problem: a folder of benches/ with a bench.py, which tells its cases and subjects as data."""

import dataclasses
import importlib.util
import pathlib

BENCHES = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Case:
    """One figure of a problem, for each of `workers`; of the subjects with these names, None: of all. Cases with
    the same `run` get their figures from one run of the program, which is called that."""

    name: str
    unit: str
    workers: tuple = (1,)
    subjects: tuple = None
    run: str = None

    @property
    def run_name(self):
        return self.run or self.name


@dataclasses.dataclass(frozen=True)
class Plan:
    """One figure that a repetition gives."""

    case: Case
    workers: int
    subject: object

    @property
    def key(self):
        return (self.case.name, self.workers, self.subject.name)

    @property
    def run_key(self):
        return (self.case.run_name, self.workers, self.subject.name)


class Problem:
    """The data of benches/NAME/bench.py. sample(program, case, workers) is one run of a built subject: it returns
    the figure, or several as {case name: figure}."""

    def __init__(self, folder):
        self.folder = folder
        self.name = folder.name
        module = _load(folder / "bench.py")
        self.subjects = list(module.SUBJECTS)
        self.cases = list(module.CASES)
        self._packages = list(getattr(module, "PACKAGES", ()))
        self.sample = getattr(module, "sample", run_and_read)

    def packages(self):
        """The Debian packages that the problem and its subjects need."""
        packages = set(self._packages)
        for subject in self.subjects:
            packages.update(subject.packages())
        return packages

    def keep_only(self, names):
        """Drops the subjects that `names` do not mean; "limit" means all limits."""
        self.subjects = [subject for subject in self.subjects if any(subject.is_called(name) for name in names)]

    def plans(self):
        """Everything that one repetition measures, in order."""
        return [
            Plan(case, workers, subject)
            for case in self.cases
            for workers in case.workers
            for subject in self.subjects
            if case.subjects is None or subject.name in case.subjects
            if subject.can_use(workers)
        ]


def run_and_read(program, case, workers):
    """One sample of a subject that measures itself: it prints a number; before that, a line "CASE NUMBER" for each
    later case of the same run."""
    *others, figure = program.run(case.run_name, workers).splitlines() or [""]
    return {case.name: float(figure), **{name: float(value) for name, value in map(str.split, others)}}


def names():
    """The names of all problems."""
    return sorted(path.parent.name for path in BENCHES.glob("*/bench.py"))


def load(name):
    """The problem called `name`."""
    return Problem(BENCHES / name)


def _load(path):
    spec = importlib.util.spec_from_file_location("bench_" + path.parent.name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
