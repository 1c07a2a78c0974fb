"""Runs benchmarks: tools/bench installs and builds what they need, and calls this with its own arguments.

Samples are interleaved: every repetition measures each case with each subject once, so that what disturbs the
machine disturbs all of them.
"""

import argparse
import pathlib
import sys

from harness import machine, picture, problem, results, table
from harness.progress import Progress
from harness.subject import Failure

RESULTS = pathlib.Path(__file__).resolve().parent / "results"


class Run:
    """One run of all chosen benchmarks."""

    def __init__(self, benches, repetitions):
        self._repetitions = repetitions
        self._steps = Progress(sum(len(bench.plans()) for bench in benches) * repetitions)
        self.errors = 0

    def measure(self, bench):
        """Builds and samples a benchmark's subjects; returns the results."""
        programs = self._build(bench)
        plans = [plan for plan in bench.plans() if plan.subject.name in programs]
        samples = {plan.key: [] for plan in plans}
        broken = set()
        for repetition in range(1, self._repetitions + 1):
            for plan in plans:
                self._steps.step(f"{bench.name}/{plan.case.name} {plan.subject.name}")
                if len(samples[plan.key]) == repetition or plan.run_key in broken:
                    continue  # the run for another case has given this one's figure too, or has failed
                for key, figure in self._sample(bench, plan, programs[plan.subject.name]).items():
                    samples.setdefault(key, []).append(figure)
                if len(samples[plan.key]) < repetition:
                    broken.add(plan.run_key)
        self._steps.clear()
        return [
            results.summarize(bench.name, plan.case, plan.subject.title(), plan.workers, samples[plan.key])
            for plan in plans
            if samples[plan.key]
        ]

    def _build(self, bench):
        programs = {}
        for subject in bench.subjects:
            try:
                programs[subject.name] = subject.build(bench.folder)
            except Failure as failure:
                self._complain(f"{bench.name}: {subject.name} cannot be built: {failure}")
        return programs

    def _sample(self, bench, plan, program):
        """The figures of one run, by the keys of their plans; none if it fails."""
        try:
            figures = bench.sample(program, plan.case, plan.workers)
            if not isinstance(figures, dict):
                figures = {plan.case.name: figures}
            if plan.case.name not in figures:
                raise Failure("it gives no such figure")
        except (Failure, ValueError) as failure:
            where = f"{bench.name}/{plan.case.name}, workers {plan.workers}"
            self._complain(f"{where}: {plan.subject.name}: {failure}")
            return {}
        return {(case, plan.workers, plan.subject.name): figure for case, figure in figures.items()}

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
        everything += found
        if found:
            print(*table.render(found), sep="\n", flush=True)
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
