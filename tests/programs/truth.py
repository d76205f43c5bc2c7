"""Reads what is true of the programs beside this file (README.md), and crashes them."""

import collections
import re
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
OPERATIONS = {"assign", "delete", "clear", "read", "iterate", "clone"}
# Any race of writers may die of this message in Go 1.24 to 1.26.
NO_EMPTY_SLOT = "small map with no empty slot (concurrent map writes?)"
# An iteration looks keys up where a Swiss map has grown meanwhile ((*Iter).Next, (*Map).getWithKey), and that look may fail.
ITERATED, READ = "concurrent map iteration and map write", "concurrent map read and map write"
# What a race may do to the map before Go notices it.
OTHER_DEATHS = ("bad map state", "nil pointer dereference", "unexpected fault address", "index out of range",
                "unexpected signal")


# What sets the flag: the other side of a race does.
WRITES = {"assign", "delete", "clear"}


class Program:
    """One program and what is true of it (README.md)."""

    def __init__(self, name):
        self.name = name
        self.source = HERE / name / "main.go"
        self.racers = {}  # line number: set of operations
        truth = collections.defaultdict(list)
        for number, line in enumerate(self.source.read_text().splitlines(), 1):
            if line.startswith("// truth: "):
                # A value is "..." or a bare word; "..."|"..." are several.
                for key, value in re.findall(r'(\w+)=((?:"[^"]*"\|?)+|\S+)', line[len("// truth: "):]):
                    truth[key] = re.findall(r'"([^"]*)"', value) or [value]
            elif match := re.search(r"// racer: ([a-z ]+)$", line):
                self.racers[number] = set(match[1].split())
        one = {key: values[0] for key, values in truth.items()}
        self.cause = one["cause"]
        self.causes = truth["cause"]
        self.what = one.get("what", "")
        self.owner = one.get("owner")
        self.shape = one.get("shape", "")
        self.minimum = one.get("minimum", "1.19")
        self.maps, self.locks, self.locking = truth["map"], truth["locks"], truth["locking"]
        # What Go may print for it.
        self.messages = truth["messages"]
        if self.cause == "race":
            self.messages.append(NO_EMPTY_SLOT)
        if ITERATED in self.messages:
            self.messages.append(READ)

    def builds_with(self, version):
        return version_key(version) >= version_key(self.minimum)

    def own_line(self, access):
        """The line of a side of the report: its site, or the innermost frame of its stack in main.go."""
        for place in [access["site"]] + access["stack"]:
            if place and place["file"] and place["file"].endswith(f"/{self.name}/main.go"):
                return place["line"]
        return None

    def side_error(self, access):
        """What is wrong about a side of the report, or None."""
        role, line = access["role"], self.own_line(access)
        allowed = self.racers.get(line)
        if allowed is None:
            return f"{role} at line {line}, which is no racing line"
        if access["operation"] and access["operation"] not in allowed:
            return f"{role} at line {line} does {access['operation']}, in truth {'/'.join(allowed)}"
        return None

    def other_error(self, detector, other):
        """What is wrong about the other side, or None."""
        error = self.side_error(other)
        if not error and detector and other["goroutine"] == detector["goroutine"]:
            error = "other is the detector itself"
        if not error and other["operation"] and other["operation"] not in WRITES:
            error = f"other does {other['operation']}, which sets no flag"
        return error

    def map_errors(self, told, log):
        """What is wrong about the map that the report names, by the truth and by what the program printed."""
        if not told:
            return
        addresses = re.findall(r"^map (0x[0-9a-f]+)$", log, re.M)
        if told["address"] and addresses and told["address"] not in addresses:
            yield f"map at {told['address']}, in truth {addresses}"
        # Generic code works on shapes; where no field's declaration names the type, that is all there is.
        if told["type"] and self.maps and "go.shape." not in told["type"] and told["type"] not in self.maps:
            yield f"map type {told['type']}, in truth {self.maps}"

    def died_as_told(self, log):
        """Whether Go printed one of the messages that the truth names. Two that die at once may print into each
        other: "fatal error: fatal error: concurrent map writesconcurrent map writes"."""
        death = re.search(r"^\s*(?:fatal error|panic): .*", log, re.M)
        return death is not None and any(message in log[death.start():] for message in self.messages)

    def died_otherwise(self, log):
        """Whether a race broke the map before Go noticed it: what Go printed then does not speak of a race."""
        return self.cause == "race" and any(death in log for death in OTHER_DEATHS)


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
