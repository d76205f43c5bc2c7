#!/usr/bin/env python3
"""Crashes the programs of tests/programs and holds mapcrash's verdicts against what is true of them.

usage: verdicts.py [--versions 1.23,1.26] [--programs a,b] [--variant normal] [--runs N] [--keep DIR]
                   [--results DIR]
       verdicts.py --table DIR

Prints one table: per grade how often there was such a verdict and how often its other side was right.
Fails on a wrong proven, a wrong detector, a wrong map or owner, a wrong cause, and on wrong words about locks.
--results leaves what the table is made of in DIR, and --table makes one table of all that is there.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "programs"))
import truth  # noqa: E402

VERSIONS = ["1.19", "1.21", "1.22", "1.23", "1.24", "1.25", "1.26", "1.27"]


class Outcome:
    def __init__(self, version, program):
        self.version, self.program = version, program
        self.grade = None
        self.other_right = None
        self.shape = ""
        self.errors = []
        self.owner = None  # None: no truth; else right, missing, wrong
        self.locking = None  # None: no race; else right, missing, wrong
        self.note = ""


def check_locks(outcome, program, report):
    """What is said of locks must be true; that nothing is said is only counted."""
    finding = (report["locking"] or {}).get("finding")
    outcome.locking = "missing" if finding is None else "right"
    for access in report["accesses"]:
        for lock in access["locks"]:
            if lock["held"] != "no" and lock["name"] and lock["name"].startswith("main.") \
                    and lock["name"] not in program.locks:
                outcome.errors.append(f"{access['role']} takes {lock['name']}, in truth {program.locks}")
    if finding is not None and finding not in program.locking:
        # Of a wrong suspect, whose grade says that it may be, the locks are another story.
        outcome.locking = "wrong"
        if report["grade"] != "possible":
            outcome.errors.append(f"locking {finding!r}, in truth {program.locking}")


def judge(outcome, program, report, stderr):
    cause = program.cause
    printed = re.search(r"^\s*fatal error: (.*)$", stderr, re.M)
    printed = printed.group(1) if printed else None
    if cause == "race" and printed not in program.messages:
        # The race broke the map before Go noticed it: not to be told always, but what is told must be true.
        outcome.note = f"died otherwise: {printed}"
        if report["cause"] != "race":
            return
    if cause in ("other", "none") and report["cause"] != cause:
        if report["cause"] not in program.causes or report["grade"] == "proven":
            outcome.errors.append(f"cause {report['cause']}, {report['grade']}, in truth {program.causes}")
        return
    if cause == "other":
        if program.what.lower() not in (report["what"] or "").lower():
            outcome.errors.append(f"what is {report['what']!r}, in truth {program.what!r}")
        return
    if cause == "none":
        return
    if printed in program.messages and report["message"] != printed:
        outcome.errors.append(f"message {report['message']!r}, printed {printed!r}")
    outcome.grade = report["grade"] or report["cause"]
    sides = {access["role"]: access for access in report["accesses"]}
    detector, other = sides.get("detector"), sides.get("other")
    if cause == "corruption":
        if report["grade"] == "proven":
            outcome.errors.append("proven, where there was no race")
        return

    # Two goroutines can fail their checks at once: then Go prints both, and either is a detector.
    running = re.findall(r"^goroutine (\d+)(?: gp=\S+ m=\S+ mp=\S+)? \[running", stderr, re.M)
    if not detector:
        outcome.errors.append("no detector")
    else:
        wrong = program.side_error(detector)
        if wrong:
            outcome.errors.append(wrong)
        if running and str(detector["goroutine"]) not in running:
            outcome.errors.append(f"detector is goroutine {detector['goroutine']}, printed {running}")
    the_map = report["map"] or {}
    outcome.errors += program.map_errors(report["map"], stderr)
    if program.owner:
        said = the_map.get("owner")
        outcome.owner = ("missing" if not said else
                         "right" if said.startswith(program.owner) else f"wrong: {said}")
        if outcome.owner.startswith("wrong"):
            outcome.errors.append(f"owner {said}, in truth {program.owner}")
    if cause == "race":
        check_locks(outcome, program, report)
    if not the_map.get("address"):
        outcome.note = "map's address not known"
    if other:
        wrong = program.other_error(detector, other)
        outcome.other_right = wrong is None
        outcome.note = wrong or ""
        if wrong and report["grade"] == "proven":
            outcome.errors.append("WRONG PROVEN: " + wrong)


def run_one(args, version, program, folder):
    outcome = Outcome(version, program.name)
    outcome.shape = program.shape
    command = [ROOT / "tools" / "build-program", version, program.name, args.variant, folder]
    built = subprocess.run(command, capture_output=True, text=True)
    if built.returncode:
        outcome.errors.append("build: " + built.stderr.strip()[-300:])
        return outcome
    exe = built.stdout.strip()
    crash = subprocess.run([ROOT / "tools" / "crash", exe, folder, "30"], capture_output=True, text=True)
    core = folder / "core"
    if not core.exists():
        outcome.note = "did not crash"
        if program.cause == "other":
            outcome.errors.append("no core: " + crash.stderr.strip()[-300:])
        return outcome
    stderr = (folder / "stderr").read_text(errors="replace")
    # A core that an emulator wrote does not name its executable.
    named = ["--exe", exe] if args.variant == "arm64" else []
    told = subprocess.run([args.mapcrash, "explain", "--json", *named, core], capture_output=True, text=True,
                          timeout=120)
    if told.returncode not in (0, 1):
        outcome.errors.append(f"explain exits {told.returncode}: {told.stderr.strip()[-300:]}")
        return outcome
    report = json.loads(told.stdout)
    (folder / "report.json").write_text(told.stdout)
    judge(outcome, program, report, stderr)
    return outcome


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", default=",".join(VERSIONS))
    parser.add_argument("--programs")
    parser.add_argument("--variant", default="normal")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--keep", help="keep cores and reports in this folder")
    parser.add_argument("--results", help="leave the outcomes in this folder")
    parser.add_argument("--table", help="print one table of the outcomes in this folder")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--mapcrash", default=os.environ.get("MAPCRASH", ROOT / "build/release/mapcrash"))
    args = parser.parse_args()
    if args.table:
        files = sorted(pathlib.Path(args.table).glob("*.json"))
        return print_table([outcome for path in files for outcome in json.loads(path.read_text())])

    programs = [program for program in truth.programs() if program.cause != "none"]
    if args.programs:
        programs = [program for program in programs if program.name in args.programs.split(",")]
    jobs = [(version, program, run) for version in args.versions.split(",") for program in programs
            for run in range(args.runs) if program.builds_with(version)]

    base = pathlib.Path(args.keep or tempfile.mkdtemp(prefix="mapcrash-verdicts."))

    def work(job):
        version, program, run = job
        folder = base / f"{version}-{program.name}-{run}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return run_one(args, version, program, folder)
        finally:
            if not args.keep:
                shutil.rmtree(folder, ignore_errors=True)

    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for outcome in pool.map(work, jobs):
            outcomes.append(outcome)
            if args.verbose or outcome.errors:
                right = {None: "", True: "right", False: "WRONG"}[outcome.other_right]
                print(f"{outcome.version:5} {outcome.program:16} {outcome.grade or '-':9} {right:6}"
                      f" {'owner ' + outcome.owner if outcome.owner else ''} {outcome.note}",
                      *("\n      ERROR: " + error for error in outcome.errors), flush=True)
    if not args.keep:
        shutil.rmtree(base, ignore_errors=True)

    if args.results:
        folder = pathlib.Path(args.results)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{args.versions}-{args.variant}.json").write_text(
            json.dumps([vars(outcome) for outcome in outcomes]))
    return print_table([vars(outcome) for outcome in outcomes])


def print_table(outcomes):
    rows = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        if outcome["grade"]:
            for shape in (outcome["shape"], "all"):
                row = rows[(shape, outcome["grade"])]
                row["n"] += 1
                row["right"] += outcome["other_right"] is True
                row["wrong"] += outcome["other_right"] is False
    print(f"\n{'programs':10} {'grade':10} {'verdicts':>8} {'other right':>12} {'other wrong':>12}")
    for shape in ("loop", "sparse", "all"):
        for grade in ("proven", "likely", "possible", "unknown", "corruption"):
            row = rows.get((shape, grade))
            if row:
                print(f"{shape:10} {grade:10} {row['n']:8} {row['right']:12} {row['wrong']:12}")
    owners = collections.Counter(o["owner"].split(":")[0] for o in outcomes if o["owner"])
    print("owner of the map: " + ", ".join(f"{count} {what}" for what, count in sorted(owners.items())))
    locking = collections.Counter(o["locking"] for o in outcomes if o["locking"])
    print("locks of the sides: " + ", ".join(f"{count} {what}" for what, count in sorted(locking.items())))
    quiet = sum(1 for o in outcomes if o["note"] == "did not crash")
    failed = [o for o in outcomes if o["errors"]]
    if quiet:
        print(f"{quiet} runs did not crash")
    print(f"verdicts: {len(outcomes) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
