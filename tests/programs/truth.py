"""Reads what is true of the programs beside this file (README.md), and crashes them."""

import os
import re
import shlex
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
OPERATIONS = {"assign", "delete", "clear", "read", "iterate", "clone"}
# Any race of writers may die of this message in Go 1.24 to 1.26.
NO_EMPTY_SLOT = "small map with no empty slot (concurrent map writes?)"
# What a race may do to the map before Go notices it.
OTHER_DEATHS = ("bad map state", "nil pointer dereference", "unexpected fault address", "index out of range",
                "unexpected signal")


class Program:
    """One program: its truth as a dict of strings, a list for messages, and its racing lines."""

    def __init__(self, name):
        self.name = name
        self.source = HERE / name / "main.go"
        self.truth = {}
        self.racers = {}  # line number: set of operations
        for number, line in enumerate(self.source.read_text().splitlines(), 1):
            if line.startswith("// truth: "):
                # A value is "..." or a bare word; "..."|"..." are several.
                for key, value in re.findall(r'(\w+)=((?:"[^"]*"\|?)+|\S+)', line[len("// truth: "):]):
                    values = re.findall(r'"([^"]*)"', value) or [value]
                    self.truth[key] = values if key == "messages" else values[0]
            elif match := re.search(r"// racer: ([a-z ]+)$", line):
                self.racers[number] = set(match[1].split())

    def builds_with(self, version):
        return version_key(version) >= version_key(self.truth["minimum"])

    def died_as_told(self, log):
        """Whether Go printed one of the messages that the truth names. Two that die at once may print into each
        other: "fatal error: fatal error: concurrent map writesconcurrent map writes"."""
        expected = list(self.truth["messages"])
        if self.truth["cause"] == "race":
            expected.append(NO_EMPTY_SLOT)
        death = re.search(r"^\s*(?:fatal error|panic): .*", log, re.M)
        return death is not None and any(message in log[death.start():] for message in expected)

    def died_otherwise(self, log):
        """Whether a race broke the map before Go noticed it: what Go printed then does not speak of a race."""
        return self.truth["cause"] == "race" and any(death in log for death in OTHER_DEATHS)


def version_key(version):
    return [int(part) for part in version.split(".")]


def programs():
    return [Program(path.parent.name) for path in sorted(HERE.glob("*/main.go"))]


def build(version, name, variant="normal"):
    """Returns the path of the executable."""
    done = subprocess.run([TOOLS / "build-program", version, name, variant], check=True, text=True,
                          stdout=subprocess.PIPE)
    return Path(done.stdout.strip())


def crash(executable, folder):
    """Leaves core, stdout and stderr in the folder; False where the program did not crash in 50 runs."""
    return subprocess.run([TOOLS / "crash", executable, folder], stdout=subprocess.DEVNULL).returncode == 0
