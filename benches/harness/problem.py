"""A problem: a folder of benches/ with a bench.py, which tells its cases and subjects as data."""

import dataclasses
import importlib.util
import pathlib

BENCHES = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Case:
    """One figure of a problem, for each of `workers`; of the subjects with these names, None: of all."""

    name: str
    unit: str
    workers: tuple = (1,)
    subjects: tuple = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one sample measures."""

    case: Case
    workers: int
    subject: object


class Problem:
    """The data of benches/NAME/bench.py."""

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
    """One sample of a subject that measures itself: it prints one number."""
    return float(program.run(case.name, workers))


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
