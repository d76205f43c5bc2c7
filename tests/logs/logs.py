"""What the programs of tests/programs print when they die, by Go version and GOTRACEBACK; kept in the cache."""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "programs"))
import truth  # noqa: E402

VERSIONS = ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]
SETTINGS = ["none", "single", "all", "system", "crash"]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "mapcrash" / "logs"
# Runs until a race shows; the longest of the programs gives up after 20 seconds.
TRIES = 12
RUN_SECONDS = 30


class Log:
    def __init__(self, program, version, setting, path, exe):
        self.program, self.version, self.setting, self.path, self.exe = program, version, setting, path, exe

    def text(self):
        return self.path.read_text(errors="replace")


def died(program, text):
    return program.died_as_told(text) or program.died_otherwise(text)


def run(exe, setting):
    """Standard error of one run, or None where it did not die by itself."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["prlimit", "--core=0", "timeout", "-s", "KILL", str(RUN_SECONDS), exe]
        done = subprocess.run(command, cwd=folder, env=dict(os.environ, GOTRACEBACK=setting),
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return done.stderr.decode(errors="replace") if done.returncode else None


def make(program, version, setting):
    """The log of a crash, a new one or that of the cache; None where the program does not crash."""
    key = hashlib.sha256(program.source.read_bytes()).hexdigest()[:12]
    folder = CACHE / version / f"{program.name}-{key}"
    exe, path = folder / program.name, folder / f"{setting}.log"
    if not exe.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([ROOT / "tools" / "build-program", version, program.name, "normal", folder], check=True,
                       stdout=subprocess.DEVNULL)
    if not path.exists():
        for _ in range(TRIES):
            text = run(exe, setting)
            if text and died(program, text):
                new = path.with_suffix(f".{os.getpid()}")
                new.write_text(text)
                new.rename(path)
                break
        else:
            return None
    return Log(program, version, setting, path, exe)


def all_logs(versions, names, settings):
    for version in versions:
        for program in truth.programs():
            if program.cause == "none" or not program.builds_with(version) or \
                    (names and program.name not in names):
                continue
            for setting in settings:
                log = make(program, version, setting)
                if log:
                    yield log
                else:
                    print(f"{program.name} (Go {version}, {setting}): no crash", file=sys.stderr)
