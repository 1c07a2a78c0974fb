"""Runs benchmarks: tools/bench installs and builds what they need, and calls this with its own arguments.

Samples are interleaved: every repetition measures each case with each subject once, so that what disturbs the machine
disturbs all of them.
"""

import argparse
import pathlib
import sys

from harness import machine, picture, problem, results, table
from harness.progress import Progress
from harness.subject import Failure

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


class Run:
    """One run of all chosen problems."""

    def __init__(self, problems, repetitions):
        self._problems = problems
        self._repetitions = repetitions
        self._steps = Progress(sum(len(problem.plans()) for problem in problems) * repetitions)
        self.errors = 0

    def measure(self, problem):
        """Builds and samples a problem's subjects; returns the results."""
        programs = self._build(problem)
        samples = {}
        broken = set()
        for _ in range(self._repetitions):
            taken = set()
            for plan in problem.plans():
                self._steps.step(f"{problem.name}/{plan.case.name} {plan.subject.name}")
                if plan.subject.name in programs and plan.key not in taken and plan.run_key not in broken:
                    self._sample(problem, plan, programs[plan.subject.name], samples, taken, broken)
        self._steps.clear()
        return [
            results.summarize(problem.name, plan.case, plan.subject.title(), plan.workers, samples[plan.key])
            for plan in problem.plans()
            if plan.key in samples
        ]

    def _build(self, problem):
        programs = {}
        for subject in problem.subjects:
            try:
                programs[subject.name] = subject.build(problem.folder)
            except Failure as failure:
                self._complain(f"{problem.name}: {subject.name} cannot be built: {failure}")
        return programs

    def _sample(self, problem, plan, program, samples, taken, broken):
        """One sample; it may give the figures of several cases, all of which are `taken` then."""
        try:
            figures = problem.sample(program, plan.case, plan.workers)
        except (Failure, ValueError) as failure:
            broken.add(plan.run_key)
            self._complain(f"{problem.name}/{plan.case.name}: {plan.subject.name}, workers {plan.workers}: {failure}")
            return
        if not isinstance(figures, dict):
            figures = {plan.case.name: figures}
        for case, figure in figures.items():
            key = (case, plan.workers, plan.subject.name)
            taken.add(key)
            samples.setdefault(key, []).append(figure)

    def _complain(self, text):
        self._steps.clear()
        print(f"bench: {text}", file=sys.stderr)
        self.errors += 1


def parse(arguments):
    """The options; a wrong one exits with 2."""
    parser = Parser(prog="bench", allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--reps", type=positive, default=5, metavar="N")
    parser.add_argument("--only", action="append", metavar="SUBJECT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--packages", action="store_true", help="print what tools/bench has to install")
    options = parser.parse_args(arguments)
    if options.json and (options.json.is_dir() or not options.json.parent.is_dir()):
        parser.error(f"cannot write {options.json}")
    return options, parser


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def positive(text):
    """A number of repetitions."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 1000")
    return int(text)


def choose(options, parser):
    """The problems that the options name, with the subjects that they name."""
    for name in options.names:
        if name not in problem.names():
            parser.error(f"no such benchmark: {name} (tools/bench --list)")
    problems = [problem.load(name) for name in dict.fromkeys(options.names) or problem.names()]
    subjects = [subject for one in problems for subject in one.subjects]
    for name in options.only or ():
        if not any(subject.is_called(name) for subject in subjects):
            parser.error(f"no such subject: {name} (tools/bench --list)")
    if options.only:
        for one in problems:
            one.keep_only(options.only)
    return problems


def show(problems):
    """The list of what there is."""
    for one in problems:
        cases = ", ".join(case.name for case in one.cases)
        print(f"{one.name}: {cases} ({', '.join(subject.name for subject in one.subjects)})")


def write(one, found):
    """Leaves a problem's results under benches/results, which are meant to be committed."""
    RESULTS.mkdir(exist_ok=True)
    results.write_json(RESULTS / f"{one.name}.json", found)
    picture.draw(RESULTS / f"{one.name}.svg", one.name, found, machine.describe())


def main(arguments):
    """The whole program; returns its exit status."""
    options, parser = parse(arguments)
    problems = choose(options, parser)
    if options.list:
        show(problems)
        return 0
    if options.packages:
        print(*sorted(set().union(*(one.packages() for one in problems))), sep="\n")
        return 0
    run = Run(problems, options.reps)
    everything = []
    for one in problems:
        found = run.measure(one)
        print(*table.render(found), sep="\n", flush=True)
        everything += found
        if found and not options.json and not options.only:
            write(one, found)
    if options.json:
        results.write_json(options.json, everything)
    return 1 if run.errors else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
