#!/usr/bin/env python3
"""Puts around real tracebacks what loggers put around lines: the verdict must stay what it is of the bare text.

usage: frames.py [--versions 1.23,1.27] [--programs a,b] [--settings all,system]

Then two processes whose lines alternate must each get the verdict of its own, and a log that is cut at any line must
not prove what the whole does not prove.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import logs


def times(fmt):
    """One time a line, some microseconds apart; fractions lose their zeros as Go prints them."""
    for step in range(10 ** 9):
        nanos = 998_000_000 + step * 7_130
        fraction = f"{nanos % 10 ** 9:09}".rstrip("0")
        second = 5 + nanos // 10 ** 9
        yield fmt.format(time=f"2024-01-02T03:04:{second:02}.{fraction}Z", clock=f"03:04:{second:02}", second=second,
                         epoch=1_700_000_000 + second, micros=f"{nanos % 10 ** 9 // 1000:06}")


def prefixed(fmt, change=lambda line: line, drops_blank=False):
    def frame(text):
        stamps = times(fmt)
        return "".join(next(stamps) + change(line) + "\n" for line in text.splitlines() if line or not drops_blank)
    return frame


def docker(text):
    stamps = times("{time}")
    return "".join(json.dumps({"log": line + "\n", "stream": "stderr", "time": next(stamps)}, separators=(",", ":")) + "\n"
                   for line in text.splitlines())


def structured(text):
    stamps = times("{epoch}.{micros}")
    return "".join(f'{{"ts":{next(stamps)},"level":"info","pod":"app-1","message":{json.dumps(line)}}}\n'
                   for line in text.splitlines())


def one_string(text):
    return '{"severity":"ERROR","message":' + json.dumps(text) + ',"time":"2024-01-02T03:04:05.6Z"}\n'


def logfmt(text):
    stamps = times("{time}")
    return "".join(f"time={next(stamps)} level=error msg={json.dumps(line)}\n" for line in text.splitlines())


def disturbed(text):
    """Lines of others in between, some of them with words of Go's."""
    noise = ["2024/01/02 03:04:05 GET /index 200", "", "listening on :8080", "worker(3) done", "a.b(c)",
             "I0102 03:04:05.000000 1 main.go:12] retry", "{\"level\":\"info\",\"msg\":\"panic mode off\"}", "\x00\xff\xfe"]
    rng = random.Random(1)
    out = []
    for line in text.splitlines():
        out.append(line)
        if rng.random() < 0.3:
            out.append(rng.choice(noise))
    return "\n".join(out) + "\n"


FRAMES = {
    "Docker": docker,
    "CRI": prefixed("{time} stderr F "),
    "journald": prefixed("Jan 02 {clock} host app[4711]: ", str.strip, drops_blank=True),
    "rsyslog": prefixed("<11>Jan  2 {clock} host app: ", lambda line: line.replace("\t", "#011")),
    "compose": prefixed("app_1  | "),
    "kubectl": prefixed("[pod/app-6d4cf56db6-x2x7z/app] {time} "),
    "seconds": prefixed("[   12.{micros}] "),
    "structured": structured,
    "one string": one_string,
    "logfmt": logfmt,
    "disturbed": disturbed,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
}


class Explainer:
    def __init__(self, mapcrash, folder):
        self.mapcrash, self.path = mapcrash, pathlib.Path(folder) / "log"

    def __call__(self, text, *options):
        """The report without what a frame may change: its path, and numbers of lines. None: there is none."""
        self.path.write_text(text, errors="replace", newline="")
        done = subprocess.run([self.mapcrash, "explain", "--json", *options, self.path], capture_output=True, text=True,
                              timeout=60)
        if done.returncode == 2:
            return None
        if done.returncode not in (0, 1):
            raise RuntimeError(f"explain exits {done.returncode}: {done.stderr.strip()[-300:]}")
        report = json.loads(re.sub(r"line \d+ of the log", "line", done.stdout))
        for crash in report["log"]["crashes"]:
            del crash["line"], crash["last_line"]
        return report


def check(explain, log, rng):
    """The frames that changed the verdict."""
    text = log.text()
    bare = explain(text)
    wrong = []
    for name, frame in FRAMES.items():
        if explain(frame(text)) != bare:
            wrong.append(name)
    # The same program twice at once: lines take turns, as they do where many containers log into one place.
    one, two = (FRAMES["compose"](text).splitlines(), FRAMES["compose"](text).replace("app_1", "app_2").splitlines())
    mixed = "".join(f"{a}\n{b}\n" for a, b in zip(one, two))
    for number in ("1", "2"):
        report = explain(mixed, "--crash", number)
        if not report or len(report["log"]["crashes"]) != 2 * len(bare["log"]["crashes"]) or \
                len(bare["log"]["crashes"]) == 1 and (report["accesses"], report["grade"]) != (bare["accesses"], bare["grade"]):
            wrong.append(f"two processes, crash {number}")
    lines = text.splitlines(keepends=True)
    for _ in range(10):
        start, end = sorted(rng.sample(range(len(lines) + 1), 2))
        for part in ("".join(lines[:end]), "".join(lines[start:]), "".join(lines[start:end])[:-7]):
            report = explain(part)
            if report and report["grade"] == "proven" != bare["grade"]:
                wrong.append(f"cut to lines {start} to {end}")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", default="1.19,1.23,1.25,1.27")
    parser.add_argument("--programs", default="structfield,httphits,generics,nilpointer,deadlock")
    parser.add_argument("--settings", default="single,system")
    parser.add_argument("--mapcrash", default=os.environ.get("MAPCRASH", logs.ROOT / "build/release/mapcrash"))
    args = parser.parse_args()
    rng = random.Random(1)
    checked = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        explain = Explainer(args.mapcrash, folder)
        for log in logs.all_logs(args.versions.split(","), args.programs.split(","), args.settings.split(",")):
            wrong = check(explain, log, rng)
            checked += 1
            failed += bool(wrong)
            if wrong:
                print(f"{log.path}: changed by {', '.join(wrong)}")
    print(f"frames of loggers: {checked - failed} logs passed, {failed} failed")
    return failed > 0 or not checked


if __name__ == "__main__":
    sys.exit(main())
