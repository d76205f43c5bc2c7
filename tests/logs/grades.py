#!/usr/bin/env python3
"""Holds the verdicts on what Go printed against what is true of the programs that printed it.

usage: grades.py [--versions 1.23,1.26] [--programs a,b] [--settings single,all] [--verbose]

Each log is explained alone and with its executable. Prints a table of grades by version and GOTRACEBACK, and how
often the other side was right. Fails on a wrong proven, a wrong detector, a wrong map or a wrong cause. Logs are made
where the cache has none (logs.py); a run over all programs, versions and settings makes some 1,800, which takes an hour.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

import logs


def explain(mapcrash, path, *options):
    done = subprocess.run([mapcrash, "explain", "--json", *options, path], capture_output=True, text=True, timeout=60)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"explain exits {done.returncode}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def check(log, report):
    """What is wrong for certain, and whether the other side is right (None: none is named)."""
    program, text, wrong = log.program, log.text(), []
    if program.cause == "race" and not program.died_as_told(text):
        return ["proven without a map message"] if report["grade"] == "proven" else [], None
    # A corrupted header prints what a race prints: no text can tell them apart.
    cause = "race" if program.cause == "corruption" or program.name == "decoy" else program.cause
    if report["cause"] != cause:
        return [f"cause {report['cause']}, in truth {cause}"], None
    if cause == "other":
        words = program.what
        # Without a goroutine a panic's message is all there is.
        if log.setting != "none" and words.lower() not in (report["what"] or "").lower():
            wrong.append(f"what is {report['what']!r}, in truth {words!r}")
        return wrong, None
    sides = {access["role"]: access for access in report["accesses"]}
    detector, other = sides.get("detector"), sides.get("other")
    if program.name == "decoy":
        # It prints what a race prints, and dies of a panic: in a log that is the restart of a process.
        if report["grade"] != "unknown" or len(report["log"]["crashes"]) != 2 and log.setting != "none":
            wrong.append(f"{report['grade']}, {len(report['log']['crashes'])} crashes")
        return wrong, None
    if program.cause == "corruption":
        if report["grade"] in ("proven", "likely"):
            wrong.append(f"{report['grade']}, where there was no race")
        return wrong, None
    if not detector and log.setting != "none":
        wrong.append("no detector")
    elif detector:
        error = program.side_error(detector)
        if error:
            wrong.append(error)
        running = re.findall(r"^goroutine (\d+)(?: gp=\S+ m=\S+ mp=\S+)? \[running", text, re.M)
        if str(detector["goroutine"]) not in running:
            wrong.append(f"detector is goroutine {detector['goroutine']}, printed {running}")
    wrong += program.map_errors(report["map"], text)
    if not other or not other["stack"]:
        return wrong, None  # nobody, or one whose stack Go could not print
    error = program.other_error(detector, other)
    if error and report["grade"] == "proven":
        wrong.append("WRONG PROVEN: " + error)
    return wrong, error or ""


def print_table(rows):
    grades = ["proven", "likely", "possible", "unknown"]
    print(f"\n{'GOTRACEBACK':12} {'Go':12} {'executable':10} {'logs':>5}" +
          "".join(f" {grade + ' (other right)':>24}" for grade in grades[:3]) + f" {'unknown':>8}")
    for key in sorted(rows, key=lambda k: (logs.SETTINGS.index(k[0]), k[1], k[2])):
        row = rows[key]
        cells = [f"{row[grade]:4} ({row[grade, True]})" if row[grade] else "-" for grade in grades[:3]]
        print(f"{key[0]:12} {key[1]:12} {key[2]:10} {row['n']:5}" + "".join(f" {cell:>24}" for cell in cells) +
              f" {row['unknown']:8}")


def group(version):
    minor = int(version.split(".")[1])
    return "1.19 to 1.23" if minor < 24 else "1.24, 1.25" if minor < 26 else "1.26, 1.27"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", default=",".join(logs.VERSIONS))
    parser.add_argument("--programs")
    parser.add_argument("--settings", default=",".join(logs.SETTINGS))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--mapcrash", default=os.environ.get("MAPCRASH", logs.ROOT / "build/release/mapcrash"))
    args = parser.parse_args()
    rows = collections.defaultdict(collections.Counter)
    checked = failed = 0
    names = args.programs.split(",") if args.programs else None
    for log in logs.all_logs(args.versions.split(","), names, args.settings.split(",")):
        for how, options in (("no", []), ("given", ["--exe", log.exe])):
            checked += 1
            try:
                report = explain(args.mapcrash, log.path, *options)
                wrong, other = check(log, report)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                report, wrong, other = {"cause": None, "grade": None}, [str(error)], None
            if options and any("another build" in note["text"] for note in report.get("notes", [])):
                wrong.append("its own executable is called another build")
            failed += bool(wrong)
            if report["cause"] == "race" and log.program.cause == "race":
                row = rows[log.setting, group(log.version), how]
                row["n"] += 1
                row[report["grade"]] += 1
                row[report["grade"], other == ""] += 1
            if wrong or (args.verbose and report["cause"] == "race"):
                right = {None: "", "": "right"}.get(other, f"WRONG: {other}")
                print(f"{log.version:5} {log.program.name:14} {log.setting:7} exe {how:6} {report['grade'] or '-':9}"
                      f" {right} {log.path if wrong else ''}", *(f"\n      ERROR: {error}" for error in wrong), flush=True)
    print_table(rows)
    print(f"verdicts on logs: {checked - failed} passed, {failed} failed")
    return failed > 0 or not checked


if __name__ == "__main__":
    sys.exit(main())
