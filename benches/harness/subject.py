"""A subject: a program that solves a problem with weft, with a rival, or at the limit of the machine.

weft's is built by CMake (benches/CMakeLists.txt), all others here, once, into build/bench/PROBLEM/. A rival's name
gets the version of its Debian package.
"""

import dataclasses
import functools
import os
import pathlib
import re
import subprocess

from .rivals import RIVALS, Rival

BENCHES = pathlib.Path(__file__).resolve().parent.parent
BUILD = BENCHES.parent / "build"
DPKG_STATUS = pathlib.Path("/var/lib/dpkg/status")

LANGUAGE_PACKAGES = {
    ".c": ("gcc",),
    ".cpp": ("g++",),
    ".go": ("golang-go",),
    ".rs": ("cargo", "rustc"),
    ".py": ("python3",),
}


class Failure(Exception):
    """A subject that could not be built or run: what it said last."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """`name`: "weft" (or that with an option), "limit …", or a rival. `source`: its file in the problem's folder; or
    `program`: the command that runs it, if there is nothing to build here. `package`: where it comes from, if rivals.py
    does not know. `flags`: of the compiler, besides the rival's; for Go, files of the harness. `workers`: how many it
    can use, if not any number."""

    name: str
    source: str = None
    program: tuple = ()
    package: str = None
    flags: tuple = ()
    workers: tuple = None

    @property
    def rival(self):
        """What rivals.py knows, or the fields say."""
        return RIVALS.get(self.name) or Rival(self.package)

    @property
    def is_limit(self):
        return self.name.startswith("limit")

    @property
    def is_rival(self):
        return not self.name.startswith("weft") and not self.is_limit

    def is_called(self, name):
        """Whether `name`, as a user types it, means this subject."""
        return name.lower() in (self.name.lower(), self.name.split()[0].lower())

    def can_use(self, workers):
        return workers in (self.workers or self.rival.workers or (workers,))

    def packages(self):
        """The Debian packages that it needs."""
        language = LANGUAGE_PACKAGES[pathlib.Path(self.source).suffix] if self.source else ()
        return (*language, self.rival.package) if self.rival.package else language

    def title(self):
        """Its name, with the version of a rival."""
        known = self.is_rival and self.rival.package
        return f"{self.name} {package_version(self.rival.package)}" if known else self.name

    def build(self, problem):
        """Builds it for the problem in the folder `problem`; returns the Program."""
        if self.program:
            return Program(self, tuple(str(part) for part in self.program))
        if self.name == "weft":
            return Program(self, (str(BUILD / "release" / "benches" / f"bench_{problem.name}"),))
        source = problem / self.source
        output = BUILD / "bench" / problem.name / re.sub(r"\W+", "_", self.name)
        output.parent.mkdir(parents=True, exist_ok=True)
        return Program(self, BUILDERS[source.suffix](self, source, output))


class Program:
    """A subject that is built. `command`: how it is run, without arguments."""

    def __init__(self, subject, command):
        self.subject = subject
        self.command = command

    def run(self, *arguments, timeout=120):
        """Runs it with `arguments`; returns what it prints."""
        return run([*self.command, *map(str, arguments)], timeout=timeout)


def run(command, timeout=900, **options):
    """Runs `command`, returns its stdout; raises Failure with its last lines."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"no end after {timeout} s") from error
    except OSError as error:
        raise Failure(str(error)) from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise Failure(f"exit status {done.returncode}\n{last}".rstrip())
    return done.stdout


@functools.lru_cache(maxsize=None)
def package_version(package):
    """The upstream version of an installed Debian package."""
    version = run(["dpkg-query", "--show", "--showformat=${Version}", package])
    return re.match(r"(?:\d+:)?([\d.]*\d)", version)[1]


def build_compiled(subject, source, output):
    """C and C++: one call of the compiler, if anything has changed."""
    if _is_current(output, source):
        return (str(output),)
    compiler = ["gcc", "-std=gnu11"] if source.suffix == ".c" else ["g++", "-std=c++20"]
    run([*compiler, "-O2", "-DNDEBUG", "-Wall", "-Wextra", "-pthread", f"-I{BENCHES}", "-o", output, source,
         *subject.rival.flags, *subject.flags])
    return (str(output),)


def _is_current(output, source):
    """Whether no file of the problem, of the harness and of Debian's packages is newer."""
    inputs = [DPKG_STATUS, *source.parent.iterdir(), *(BENCHES / "harness").iterdir()]
    return output.exists() and all(path.stat().st_mtime < output.stat().st_mtime for path in inputs)


def build_go(subject, source, output):
    """Go, without modules; the harness's files belong to the same package, so all are shown in one folder."""
    folder = output.with_name(output.name + "-package")
    folder.mkdir(exist_ok=True)
    files = [source, *(BENCHES / "harness" / name for name in ("timing.go", *subject.flags))]
    for file in files:
        link = folder / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(BUILD / "bench" / "go-cache")}
    run(["/usr/bin/go", "build", "-o", output, *(file.name for file in files)], cwd=folder, env=environment)
    return (str(output),)


CARGO_PROJECT = """[package]
name = "{name}"
version = "0.0.0"
edition = "2021"
[[bin]]
name = "{name}"
path = "{source}"
[dependencies]
{crates}
[profile.release]
opt-level = 3
"""

CARGO_CONFIG = """[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
"""


def build_rust(subject, source, output):
    """Rust, with the crates that Debian installs as sources and nothing from elsewhere."""
    name = f"{source.parent.name}_{output.name.lower()}"
    project = output.with_name(output.name + "-project")
    (project / ".cargo").mkdir(parents=True, exist_ok=True)
    crates = "\n".join(subject.rival.crates)
    (project / "Cargo.toml").write_text(CARGO_PROJECT.format(name=name, source=source, crates=crates))
    (project / ".cargo" / "config.toml").write_text(CARGO_CONFIG)
    target = BUILD / "bench" / "rust"
    environment = {
        "PATH": "/usr/bin:/bin",
        "CARGO_HOME": str(BUILD / "bench" / "cargo"),
        "CARGO_TARGET_DIR": str(target),
    }
    run(["/usr/bin/cargo", "build", "--release", "--offline", "--quiet"], cwd=project, env=environment)
    return (str(target / "release" / name),)


def build_python(subject, source, _output):
    """Python is run as it is; uvloop takes the place of asyncio's loop in the same program."""
    loop = "uvloop" if subject.name == "uvloop" else "asyncio"
    return ("/usr/bin/python3", str(BENCHES / "harness" / "python.py"), loop, str(source))


BUILDERS = {
    ".c": build_compiled,
    ".cpp": build_compiled,
    ".go": build_go,
    ".rs": build_rust,
    ".py": build_python,
}
