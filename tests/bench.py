"""tools/bench and benches/harness without measuring anything: subjects here are lines of shell.

tests/bench.py [TEST…], as unittest has it.
"""

import contextlib
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "benches"))

import run  # noqa: E402
from harness import Case, picture, problem, results, table  # noqa: E402

KEYS = ["bench", "case", "subject", "workers", "unit", "median", "min", "max"]


def tools_bench(*arguments):
    return subprocess.run([ROOT / "tools" / "bench", *arguments], capture_output=True, text=True, check=False)


class Script(unittest.TestCase):
    """The options, as a user gives them."""

    def test_list_names_every_folder_and_installs_nothing(self):
        done = tools_bench("--list")
        listed = [line.split(":")[0] for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 0)
        self.assertEqual(listed, sorted(path.parent.name for path in ROOT.glob("benches/*/bench.py")))

    def test_a_wrong_use_is_one_line_and_exit_2(self):
        for arguments, word in [
            (["no_such_bench"], "no_such_bench"),
            (["--reps", "0"], "0"),
            (["--reps", "many"], "many"),
            (["--only", "nobody"], "nobody"),
            (["--json", "/no/such/folder/file"], "/no/such/folder/file"),
            (["--no-such-option"], "--no-such-option"),
        ]:
            with self.subTest(arguments):
                done = tools_bench(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, "")
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(word, done.stderr)


class Runner(unittest.TestCase):
    """run.main on problems of our own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.addCleanup(setattr, problem, "BENCHES", problem.BENCHES)
        problem.BENCHES = self.folder

    def bench(self, *options, lines, cases="[Case('one', 'ns')]"):
        """Runs a problem with these subjects: name and shell; $0 is the run, $1 the number of workers."""
        (self.folder / "made").mkdir()
        programs = ",".join(f"Subject({name!r}, program=('sh', '-c', {line!r}))" for name, line in lines.items())
        (self.folder / "made" / "bench.py").write_text(
            f"from harness import Case, Subject\nSUBJECTS = [{programs}]\nCASES = {cases}\n"
        )
        written = self.folder / "written.json"
        self.out, self.err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(self.out), contextlib.redirect_stderr(self.err):
            status = run.main(["--json", str(written), *options])
        return status, json.loads(written.read_text())

    def test_results_have_exactly_the_keys(self):
        subjects = {"weft": "echo 5", "limit x": "echo 2.5", "Other": "echo 4"}
        status, found = self.bench("--reps", "3", lines=subjects)
        self.assertEqual(status, 0)
        self.assertEqual([list(result) for result in found], [KEYS] * 3)
        self.assertEqual(list(found[0].values()), ["made", "one", "weft", 1, "ns", 5, 5, 5])
        self.assertRegex(self.out.getvalue(), r"weft .* 1\.25 +2\.00\n")

    def test_a_subject_that_fails_is_named_and_the_others_go_on(self):
        broken = {"exits": "echo its last line >&2; exit 3", "says_nothing": ":", "weft": "echo 5"}
        status, found = self.bench("--reps", "2", lines=broken)
        self.assertEqual(status, 1)
        self.assertEqual([result["subject"] for result in found], ["weft"])
        self.assertEqual(self.err.getvalue().count("exits"), 1, "it is not tried again")
        self.assertIn("its last line", self.err.getvalue())
        self.assertIn("says_nothing", self.err.getvalue())

    def test_a_subject_that_cannot_be_built_is_named(self):
        (self.folder / "made").mkdir()
        (self.folder / "made" / "bad.c").write_text("no program\n")
        (self.folder / "made" / "bench.py").write_text(
            "from harness import Case, Subject\n"
            "SUBJECTS = [Subject('limit bad', 'bad.c')]\nCASES = [Case('one', 'ns')]\n"
        )
        err = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            self.assertEqual(run.main(["made", "--reps", "1", "--json", str(self.folder / "written.json")]), 1)
        self.assertIn("limit bad cannot be built", err.getvalue())

    def test_samples_are_interleaved(self):
        log = self.folder / "log"
        shell = f"echo {{}} $0 $1 >>{log}; echo 1"
        self.bench(
            "--reps", "2",
            lines={name: shell.format(name) for name in ("a", "b")},
            cases="[Case('one', 'ns', workers=(1, 2)), Case('two', 'ns', subjects=('b',))]",
        )
        once = ["a one 1", "b one 1", "a one 2", "b one 2", "b two 1"]
        self.assertEqual(log.read_text().splitlines(), once * 2)

    def test_one_run_gives_several_cases(self):
        log = self.folder / "log"
        status, found = self.bench(
            "--reps", "1",
            lines={"weft": f"echo $0 >>{log}; echo late 7; echo 3"},
            cases="[Case('cpu', 'ns', run='both'), Case('late', 'ms', run='both')]",
        )
        self.assertEqual(status, 0)
        self.assertEqual(log.read_text(), "both\n")
        self.assertEqual([(result["case"], result["median"]) for result in found], [("cpu", 3), ("late", 7)])

    def test_a_run_that_leaves_out_its_own_case_is_an_error(self):
        sample = "\ndef sample(program, case, workers):\n    return {'other': 1}\n"
        status, found = self.bench("--reps", "1", lines={"weft": ":"}, cases="[Case('one', 'ns')]" + sample)
        self.assertEqual((status, found), (1, []))
        self.assertIn("made/one", self.err.getvalue())

    def test_only_leaves_the_named_subjects(self):
        subjects = {"weft": "echo 5", "limit x": "echo 2", "limit y": "echo 3", "Other": "echo 4"}
        _, found = self.bench("--reps", "1", "--only", "limit", "--only", "other", lines=subjects)
        self.assertEqual([result["subject"] for result in found], ["limit x", "limit y", "Other"])


class Statistics(unittest.TestCase):
    """results.py and what shows them."""

    def result(self, subject, *samples, workers=1):
        return results.summarize("made", Case("one", "ns"), subject, workers, samples)

    def test_median_lowest_highest(self):
        self.assertEqual(self.figures(self.result("weft", 3, 1, 2)), (2, 1, 3))
        self.assertEqual(self.figures(self.result("weft", 4, 1, 2, 9)), (3, 1, 9))
        self.assertEqual(self.figures(self.result("weft", 1.23456, 98765.4)), (49380, 1.235, 98770))

    def figures(self, result):
        return result.median, result.min, result.max

    def test_ratios_are_to_the_best_of_the_same_group(self):
        weft = self.result("weft", 6)
        others = {"Slow": 12, "Quick": 3, "limit x": 2, "limit y": 4}
        rest = [self.result(name, median) for name, median in others.items()]
        rest.append(self.result("Quick", 1, workers=2))
        self.assertEqual(results.ratio_to_best_rival(weft, [weft, *rest]), 2)
        self.assertEqual(results.ratio_to_limit(weft, [weft, *rest]), 3)
        self.assertIsNone(results.ratio_to_limit(rest[-1], [weft, *rest]))

    def test_numbers_are_easy_to_read(self):
        self.assertEqual([table.number(value) for value in (0.7123, 62, 999.9, 1234567.0)],
                         ["0.7123", "62", "999.9", "1,234,567"])

    def test_the_picture_has_a_bar_a_result_and_quotes_what_it_must(self):
        found = [self.result("weft", 5), self.result("It's", 500), self.result("weft", 7, workers=2)]
        script = picture.script("x.svg", "made", found, "a machine")
        self.assertIn("'It''s' 0, 'weft' 1", script)
        self.assertEqual(script.count("with boxxyerror"), 2)
        self.assertEqual(script.count("\nset logscale x"), 1)


if __name__ == "__main__":
    unittest.main()
