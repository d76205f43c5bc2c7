#!/usr/bin/env python3
"""Holds the structs of mapcrash layout --json against gdb's ptype /o. usage: compare_gdb.py EXE JSON"""
import json
import re
import subprocess
import sys

FIELD = re.compile(r"/\*\s*(\d+)\s*\|\s*(\d+)\s*\*/\s+(.*)")
NAME = re.compile(r"(\w+)(?:\[\d+\])*\)?(?:\(.*\))?;$")


def gdb_struct(exe, name):
    """Offset and size of each field of the struct itself, by name, and its size."""
    text = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set auto-load no", "-ex", "set language c", "-ex", f"ptype /o '{name}'", exe],
        capture_output=True, text=True, check=True).stdout
    fields, size, depth, outer = {}, None, 0, None
    for line in text.splitlines():
        field, stripped = FIELD.match(line), line.strip()
        if total := re.search(r"total size \(bytes\):\s*(\d+)", line):
            if depth == 1:
                size = int(total.group(1))
            continue
        if stripped.endswith("{"):
            if depth == 1 and field:
                outer = int(field.group(1)), int(field.group(2))
            depth += 1
        elif stripped.startswith("}"):
            depth -= 1
            if depth == 1 and (name_match := NAME.search(stripped)):
                fields[name_match.group(1)] = outer
        elif depth == 1 and field and (name_match := NAME.search(field.group(3))):
            fields[name_match.group(1)] = int(field.group(1)), int(field.group(2))
    return fields, size


def main(exe, path):
    compared = 0
    for struct in json.load(open(path))["structs"]:
        name = struct["name"]
        if name.startswith("maps."):
            name = "internal/runtime/" + name
        theirs, size = gdb_struct(exe, name)
        assert size == struct["size"], (name, size, struct["size"])
        for field in struct["fields"]:
            if field["name"] == "_" or field["name"] not in theirs:
                continue
            # Go's DWARF gives a func value no size, and C's functions, as which gdb takes it, have 1.
            is_func = (field["type"] or "").startswith("func(")
            ours = field["offset"], 1 if is_func else field["size"]
            assert theirs[field["name"]] == ours, (name, field["name"], theirs[field["name"]], ours)
            compared += 1
    print(f"{exe}: {compared} fields compared")
    assert compared > 140, compared


main(*sys.argv[1:])
