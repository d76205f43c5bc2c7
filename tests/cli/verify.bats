#!/usr/bin/env bats
# mapcrash verify: finds the races of programs that have some, none in one that has none, and says so in
# each format.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  "$SOURCE_DIR/tools/build-program" 1.26 structfield normal "$DIR" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.23 healthylocks normal "$DIR" >/dev/null
  # a command that is called go
  printf '#!/bin/sh\nexec "%s" 1.26 "$@"\n' "$SOURCE_DIR/tools/go" >"$DIR/go"
  chmod +x "$DIR/go"
}

teardown() { # what verify should have ended
  for file in "$DIR"/pid.*; do
    [ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
    rm -f "$file"
  done
}

@test "verify finds a race, names both sides, and exits 3" {
  run --separate-stderr "$MAPCRASH" verify --runs 3 --duration 10 --seed 7 --format json -- "$DIR/structfield"
  [ "$status" -eq 3 ]
  echo "$output" >"$DIR/verify.json"
  python3 -c '
import json, sys, jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[2])))
assert report["seed"] == 7 and report["now"]["runs"] == 3, report
race = report["now"]["races"][0]
assert race["owner"] == "main.(*directory).names" and race["type"] == "map[uint32]string", race
assert race["grade"] == "proven" and race["log"].startswith("fatal error: concurrent map"), race
lines = open(sys.argv[3]).read().splitlines()
for side in race["sides"]:
    assert side["file"].endswith("structfield/main.go") and "// racer: " in lines[side["line"] - 1], side
    assert side["operation"] in lines[side["line"] - 1].split("racer:")[1], side' \
    "$DIR/verify.json" "$SOURCE_DIR/docs/verify.schema.json" "$SOURCE_DIR/tests/programs/structfield/main.go"
}

@test "verify finds no race where a lock is held, says what met, and exits 0" {
  run --separate-stderr "$MAPCRASH" verify --runs 2 --duration 2 --hold 5 -- "$DIR/healthylocks"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"races     none in 2 runs"* ]]
  [[ "$output" == *"2 after their time"* ]]
  [[ "$output" == *"never overlapped, seen "*" times: map[string]int"* ]]
  [[ "$output" == *"assign main.(*counter).add  "* ]]
}

@test "verify --against says which races are gone and which are new" {
  run --separate-stderr "$MAPCRASH" verify --runs 2 --duration 2 --against "$DIR/structfield" -- "$DIR/healthylocks"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"gone      in "*" of 2 runs before, in none now: map[uint32]string"* ]]
  [[ "$output" == *"structfield printed before in run "* ]]
  run --separate-stderr "$MAPCRASH" verify --runs 2 --duration 2 --against "$DIR/healthylocks" -- "$DIR/structfield"
  [ "$status" -eq 3 ]
  [[ "$output" == *" (new): main.(*directory).names, map[uint32]string"* ]]
}

@test "verify writes annotations and SARIF, with paths from here" {
  cd "$SOURCE_DIR"
  run --separate-stderr "$MAPCRASH" verify --runs 2 --duration 10 --format github -- "$DIR/structfield"
  echo "$output"
  [ "$status" -eq 3 ]
  [[ "$output" =~ ^"::error file=tests/programs/structfield/main.go,line="[0-9]+",title=concurrent use of a map::" ]]
  "$MAPCRASH" verify --runs 2 --duration 10 --format sarif -- "$DIR/structfield" >"$DIR/sarif" || [ $? -eq 3 ]
  python3 -c '
import json, sys
log = json.load(open(sys.argv[1]))
run, = log["runs"]
assert log["version"] == "2.1.0" and run["tool"]["driver"]["name"] == "mapcrash"
rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
assert run["results"]
for result in run["results"]:
    assert result["ruleId"] in rules and result["message"]["text"]
    for location in result["locations"] + result["relatedLocations"]:
        place = location["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "tests/programs/structfield/main.go", place
        assert place["region"]["startLine"] > 0' "$DIR/sarif"
}

@test "verify refuses what it cannot verify" {
  for old in "$DIR/nowhere" "$DIR"; do # nothing of that name; a directory without the program
    run --separate-stderr "$MAPCRASH" verify --against "$old" -- ./structfield.nowhere
    [ "$status" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "mapcrash: --against: "*"No such file or directory" ]]
  done
  run --separate-stderr "$MAPCRASH" verify --children --runs 2 -- true
  [ "$status" -eq 2 ]
  [ "${#stderr_lines[@]}" -eq 1 ]
  [[ "$stderr" == *"started no Go program that could be recorded"* ]]
  run --separate-stderr "$MAPCRASH" verify -- /bin/ls
  [ "$status" -eq 2 ]
  [ -n "$stderr" ]
  run "$MAPCRASH" verify --format html -- "$DIR/healthylocks"
  [ "$status" -eq 64 ]
}

@test "verify finds the race of a go test, and tells of each program" {
  cd "$SOURCE_DIR/tests/live"
  run --separate-stderr "$MAPCRASH" verify --runs 2 --json -- "$DIR/go" test ./gotest/...
  [ "$status" -eq 3 ]
  echo "$output" >"$DIR/gotest.json"
  python3 -c '
import json, sys, jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[2])))
assert report["now"] is None and report["command"]["runs"] == report["command"]["failed"] == 2, report
programs = {program["program"]: program for program in report["programs"]}
assert sorted(programs) == ["racing.test", "sound.test"], programs
assert all(program["runs"] == 2 for program in programs.values()), programs
assert not programs["sound.test"]["races"], programs
race, = programs["racing.test"]["races"]
assert race["grade"] == "proven" and race["log"].startswith("fatal error: concurrent map"), race
for side in race["sides"]:
    assert side["function"] == "live/gotest/racing.Count" and side["line"] == 7, side' \
    "$DIR/gotest.json" "$SOURCE_DIR/docs/verify.schema.json"
}

@test "verify --against DIR says which races of a go test are gone since, which are new, and which were not tried" {
  # a module before and after: one race mended, one brought in; later one in a package that is there no more
  rm -rf "$DIR/before" "$DIR/after"
  for when in before after; do
    mkdir "$DIR/$when"
    printf 'module counting\n\ngo 1.19\n' >"$DIR/$when/go.mod"
    cp -r "$SOURCE_DIR/tests/live/gotest/racing" "$DIR/$when/mended"
    cp -r "$SOURCE_DIR/tests/live/gotest/racing" "$DIR/$when/broken"
  done
  sed -i 's/^import (/&\n\t"sync"/; s/^func Test/var mu sync.Mutex\n\n&/; s/^\t*Count(.*/mu.Lock()\n&\nmu.Unlock()/
    s/20 . time.Second/100 * time.Millisecond/; /nothing noticed/d' \
    "$DIR/after/mended/racing_test.go" "$DIR/before/broken/racing_test.go"
  cd "$DIR/after"
  run --separate-stderr "$MAPCRASH" verify --runs 1 --against ../before -- "$DIR/go" test ./...
  echo "$output" "$stderr"
  [ "$status" -eq 3 ]
  [[ "$output" == *"go test ./... in ../before: 1 runs, "* ]]
  [ "$(grep -c '^gone      in 1 of 1 runs before, in none now: map\[int\]int' <<<"$output")" -eq 1 ]
  [ "$(grep -c '^  .* in 1 of 1 runs, first in run 1 (new): ' <<<"$output")" -eq 1 ]
  for printed in "mended.test printed before" "broken.test printed"; do
    grep -A1 "^what $printed in run 1" <<<"$output" | grep -q '^    fatal error: concurrent map'
  done
  cp -r "$SOURCE_DIR/tests/live/gotest/racing" "$DIR/before/dropped"
  run --separate-stderr "$MAPCRASH" verify --runs 1 --against ../before -- "$DIR/go" test ./...
  echo "$output" "$stderr"
  [ "$status" -eq 3 ]
  [ "$(grep -c '^not tried in 1 of 1 runs before, not run now: map\[int\]int' <<<"$output")" -eq 1 ]
  run --separate-stderr "$MAPCRASH" verify --runs 1 --json --against ../before -- "$DIR/go" test ./...
  [ "$status" -eq 3 ]
  echo "$output" >"$DIR/against.json"
  python3 -c '
import json, sys, jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[2])))
assert report["now"] is None and report["before"] is None
assert report["command"]["runs"] == report["before_command"]["runs"] == 1
def programs(side):
    return {p["program"]: (p["ran_in_other"], [r["in_other"] for r in p["races"]]) for p in report[side]}
assert programs("programs") == {"mended.test": (True, []), "broken.test": (True, [False])}, programs("programs")
assert programs("before_programs") == {"mended.test": (True, [False]), "broken.test": (True, []),
    "dropped.test": (False, [False])}, programs("before_programs")' \
    "$DIR/against.json" "$SOURCE_DIR/docs/verify.schema.json"
}

@test "verify --against takes another command, and another directory of a program" {
  mkdir -p "$DIR/old" "$DIR/new"
  cp "$DIR/structfield" "$DIR/old/program"
  # one that ends by itself within a second or two
  "$SOURCE_DIR/tools/build-program" 1.23 "$SOURCE_DIR/tests/nearmiss/locked" normal "$DIR/new" >/dev/null
  mv "$DIR/new/locked" "$DIR/new/program"
  # its own PWD a shell puts right by itself
  { echo '#!/bin/sh'; cat; } >"$DIR/starts" <<'SH'
given=$(tr '\0' '\n' </proc/$$/environ | sed -n 's/^PWD=//p')
[ "$(cd "$given" && pwd -P)" = "$(pwd -P)" ] && exec "$1/program"
SH
  printf '#!/bin/sh\nexec ../old/program\n' >"$DIR/starts-old"
  chmod +x "$DIR/starts" "$DIR/starts-old"
  cd "$DIR/new"
  run --separate-stderr "$MAPCRASH" verify --runs 2 --duration 20 --against ../old -- ./program
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"./program in ../old: 2, "*"gone      in "*" of 2 runs before, in none now: map[uint32]string"* ]]
  run --separate-stderr "$MAPCRASH" verify --children --runs 2 --duration 20 --against ../old -- "$DIR/starts" .
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"before    $DIR/starts . in ../old: 2 runs, "* ]]
  [[ "$output" == *"gone      in "*" of 2 runs before, in none now: map[uint32]string"* ]]
  run --separate-stderr "$MAPCRASH" verify --children --runs 2 --duration 20 --against "$DIR/starts-old" -- "$DIR/starts" .
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"before    $DIR/starts-old .: 2 runs, "*"gone      in "* ]]
}

@test "verify finds no race in a sound go test, in any run, and exits 0" {
  cd "$SOURCE_DIR/tests/live"
  run --separate-stderr "$MAPCRASH" verify --runs 2 -- "$DIR/go" test ./gotest/sound
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"go test ./gotest/sound: 2 runs, 2 ended well, "* ]]
  [[ "$output" == *"program   sound.test: run 2 times, "* ]]
  [[ "$output" == *"races     none in 2 runs"* ]]
}

@test "verify names both of two racing programs that a shell starts" {
  cp "$DIR/structfield" "$DIR/other"
  printf x >>"$DIR/other" # another program, behind what is mapped
  run --separate-stderr "$MAPCRASH" verify --children --runs 2 --format github -- \
    sh -c '"$0" & "$1"; wait' "$DIR/structfield" "$DIR/other"
  echo "$output"
  [ "$status" -eq 3 ]
  grep -q '^::error file=.*structfield/main.go,line=[0-9]*,.* runs of structfield$' <<<"$output"
  grep -q '^::error file=.*structfield/main.go,line=[0-9]*,.* runs of other$' <<<"$output"
}

@test "verify leaves nothing running of a command that does not end, or leaves its programs behind" {
  # the session's leader leaves ours; the loop starts programs without a pause
  for rest in 'trap "" TERM; while :; do /bin/true; done' exit; do
    run --separate-stderr "$MAPCRASH" verify --children --runs 1 --duration 2 -- bash -c '
      "$0" 3>&- & echo $! >"$1/pid.program"
      setsid bash -c "trap \"\" TERM; echo \$\$ >$1/pid.session; while :; do sleep 1; done" 3>&- &
      until [ -s "$1/pid.session" ]; do sleep 0.01; done
      echo $$ >"$1/pid.command"; eval "$2"' "$DIR/healthylocks" "$DIR" "$rest"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"program   healthylocks: run 1 times, ended after its time 1 times"* ]]
    for name in program session command; do
      run ! kill -0 "$(cat "$DIR/pid.$name")"
    done
    rm "$DIR"/pid.*
  done
}
