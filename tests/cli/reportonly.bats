#!/usr/bin/env bats
# mapcrash run --report-only: programs that race and do not crash are told, and ones that order their accesses are not.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  for program in turns locked handover rwreaders syncmap ownmaps; do
    for version in 1.23 1.26; do
      "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/nearmiss/$program" normal "$DIR/$version" >/dev/null
    done
  done
}

watch() { # VERSION PROGRAM OPTIONS...: into $DIR/report.json, checked against its schema
  local program=$DIR/$1/$2
  shift 2
  local status=0
  "$MAPCRASH" run --report-only --json --output "$DIR/report.json" "$@" -- "$program" || status=$?
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
    "$DIR/report.json" "$SOURCE_DIR/docs/nearmiss.schema.json"
  return $status
}

is_told() { # GRADE: the one finding is between the two lines of turns that say so
  python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
told = [miss for miss in report["misses"] if miss["grade"] != "possible"]
# who is held comes back at any time, and may yet run into the other one: then Go tells
assert report["crash"] is None or sys.argv[3] == report["crash"]["grade"] == "proven", report
assert not report["notes"] and (told or report["crash"]), report
lines = open(sys.argv[2]).read().splitlines()
for miss in told:
    assert miss["grade"] == sys.argv[3] and miss["type"] == "map[int]int", miss
    assert [lines[side["site"]["line"] - 1].split("// ")[1] for side in miss["sides"]] == ["first", "second"], miss
    assert miss["locking"] == "none" and all(side["operation"] == "assign" for side in miss["sides"]), miss' \
    "$DIR/report.json" "$SOURCE_DIR/tests/nearmiss/turns/main.go" "$1"
}

@test "two that take turns by the clock alone are likely to race, and the program lives" {
  for version in 1.23 1.26; do
    run watch $version turns
    echo "$output"
    [ "$status" -eq 3 ]
    is_told likely
  done
}

@test "a held writer and who comes to its map prove the race, and the program lives" {
  for version in 1.23 1.26; do
    run watch $version turns --hold 10 --reads
    echo "$output"
    [ "$status" -eq 3 ]
    is_told proven
  done
}

@test "no race is told of programs that lock, hand over, read under RLock, use sync.Map, or share memory only" {
  for version in 1.23 1.26; do
    for program in locked handover rwreaders syncmap ownmaps; do
      run watch $version $program --reads --hold 5
      echo "$version $program: $status $output"
      cat "$DIR/report.json"
      [ "$status" -eq 0 ]
      [ -z "$output" ]
    done
  done
}

@test "it is the same of a program built without optimisation and inlining" {
  for version in 1.22 1.26; do
    for program in turns rwreaders; do
      "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/nearmiss/$program" noopt "$DIR/noopt$version" >/dev/null
    done
    run watch noopt$version turns --hold 10 --reads
    echo "$output"
    [ "$status" -eq 3 ]
    is_told proven
    run watch noopt$version rwreaders --reads --hold 5
    echo "$output"
    cat "$DIR/report.json"
    [ "$status" -eq 0 ]
  done
}

@test "the text says which two places, and why" {
  run --separate-stderr "$MAPCRASH" run --report-only -- "$DIR/1.26/turns"
  echo "$stderr"
  [ "$status" -eq 3 ]
  [[ "$stderr" == *"races     1"*"likely    map[int]int: goroutines "*" took turns on map 0x"* ]]
  [[ "$stderr" == *"assign  main.even  "*"turns/main.go:"*"assign  main.odd  "*"turns/main.go:"* ]]
  [[ "$stderr" == *"locks     neither side takes a lock"* ]]
}

@test "what a program dies of all the same is told, too" {
  "$SOURCE_DIR/tools/build-program" 1.26 structfield normal "$DIR/1.26" >/dev/null
  run watch 1.26 structfield
  [ "$status" -eq 3 ]
  python3 -c '
import json, sys, jsonschema
crash = json.load(open(sys.argv[1]))["crash"]
jsonschema.validate(crash, json.load(open(sys.argv[2])))
assert crash["cause"] == "race" and crash["message"].startswith("concurrent map"), crash' "$DIR/report.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "--reads and --within are refused without --report-only, and --report-only without time stamps" {
  for options in --reads "--within 5" "--report-only --no-tsc" "--report-only --within 0"; do
    # shellcheck disable=SC2086
    run --separate-stderr "$MAPCRASH" run $options -- "$DIR/1.26/turns"
    [ "$status" -eq 64 ]
    [[ "$stderr" == *--report-only* ]]
  done
}
