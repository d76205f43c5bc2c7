#!/usr/bin/env bats
# Programs that a raced map kills by a fault in its code, before any check of its flag fails.

bats_require_minimum_version 1.5.0

BUILDS="1.19/normal 1.21/pie 1.23/stripped 1.24/normal 1.26/pie 1.27/normal"
LIMIT=300 # seconds: each of them takes one

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  for build in $BUILDS; do
    "$SOURCE_DIR/tools/build-program" "${build%/*}" "$SOURCE_DIR/tests/live/broken" "${build#*/}" "$DIR/$build" >/dev/null
  done
  write=$(grep -n "racer: assign" "$SOURCE_DIR/tests/live/broken/main.go")
  read=$(grep -n "racer: read" "$SOURCE_DIR/tests/live/broken/main.go")
  export WRITE=${write%%:*} READ=${read%%:*}
  status=0
  "$DIR/1.26/pie/broken" reader </dev/null 2>"$DIR/stderr" || status=$?
  if [ "$status" -eq 77 ]; then
    echo "the kernel gives no userfaultfd here: $(cat "$DIR/stderr")" >"$DIR/skip"
  fi
}

setup() {
  exec </dev/null # the programs begin when that ends
}

needs_userfaultfd() {
  if [ -e "$DIR/skip" ]; then skip "$(cat "$DIR/skip")"; fi
}

is_proven() { # FILE LINE: a report that has the detector in that line
  cat "$1"
  grep -q "^verdict   proven" "$1"
  grep -A1 "^detector  goroutine " "$1" | grep -q "broken/main.go:$2\$"
  grep -A1 "^other     goroutine " "$1" | grep -q "broken/main.go:$WRITE\$"
  grep -q "recorded: its write of the same map 0x.* before .* and was in flight then" "$1"
}

@test "who faults in a map that another one writes is reported with both sides, after the program's own output" {
  needs_userfaultfd
  for build in $BUILDS; do
    for mode in reader writer throw; do
      line=$READ said="panic: runtime error: invalid memory address or nil pointer dereference"
      if [ $mode = writer ]; then line=$WRITE; fi
      if [ $mode = throw ]; then said="fatal error: fault"; fi
      run --separate-stderr timeout $LIMIT "$MAPCRASH" run -o "$DIR/report" -- "$DIR/$build/broken" $mode
      echo "$build $mode: $status: $stderr"
      [ "$status" -eq 2 ]
      [ -z "$output" ]
      [[ "$stderr" == *"$said"*"main.go:$line"* ]]
      [[ "$stderr" != *"mapcrash: "* ]]
      is_proven "$DIR/report" "$line"
    done
  done
  run --separate-stderr timeout $LIMIT "$MAPCRASH" run -- "$DIR/1.23/stripped/broken" reader
  [[ "$stderr" == "panic: "*"goroutine "*"verdict   proven"* ]]
}

@test "its JSON report fits the schema" {
  needs_userfaultfd
  timeout $LIMIT "$MAPCRASH" run --json -- "$DIR/1.26/pie/broken" writer >"$DIR/report.json" 2>/dev/null || [ $? -eq 2 ]
  python3 -c '
import json, sys, jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[2])))
assert (report["cause"], report["grade"]) == ("race", "proven"), report' "$DIR/report.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "a write that a deferred function let in after the fault is not taken for proof" {
  needs_userfaultfd
  for build in $BUILDS; do
    run --separate-stderr timeout $LIMIT "$MAPCRASH" run -- "$DIR/$build/broken" late
    echo "$build: $status: $stderr"
    [ "$status" -eq 2 ]
    [[ "$stderr" == "panic: "*"verdict   "*"ticks from when the fault was seen: no proof"* ]]
    [[ "$stderr" != *"verdict   proven"* ]]
  done
}

@test "a fault that is recovered, and one outside of maps, are as without us, and nothing is reported" {
  for build in $BUILDS; do
    for mode in recover nil; do
      run --separate-stderr "$DIR/$build/broken" $mode
      alone=$(printf '%s\n%s' "$status" "$stderr" | sed 's/0x[0-9a-f]*/ADDRESS/g')
      run --separate-stderr timeout $LIMIT "$MAPCRASH" run -- "$DIR/$build/broken" $mode
      echo "$build $mode: $status: $stderr"
      [ "$(printf '%s\n%s' "$status" "$stderr" | sed 's/0x[0-9a-f]*/ADDRESS/g')" = "$alone" ]
    done
  done
}

@test "attach reports such a death, too" {
  needs_userfaultfd
  for build in 1.19/normal 1.27/normal; do
    mkfifo "$DIR/$build/go" "$DIR/$build/attached"
    "$DIR/$build/broken" reader <"$DIR/$build/go" 2>/dev/null &
    pid=$!
    exec 9>"$DIR/$build/go" # until that ends, or says something, the program waits
    timeout $LIMIT "$MAPCRASH" attach -o "$DIR/report" $pid 2>"$DIR/$build/attached" 9>&- &
    attach=$!
    read -r said <"$DIR/$build/attached"
    [[ "$said" == "mapcrash: recording process $pid,"* ]]
    exec 9>&-
    status=0
    wait $attach || status=$?
    echo "$build: $status"
    is_proven "$DIR/report" "$READ"
  done
}

@test "the core of a patched program tells it, too" {
  needs_userfaultfd
  for build in 1.19/normal 1.26/pie; do
    "$MAPCRASH" patch "$DIR/$build/broken" "$DIR/$build/patched" 2>/dev/null
    for mode in reader throw; do
      "$SOURCE_DIR/tools/crash" "$DIR/$build/patched" "$DIR/crash" 1 $mode >&2
      "$MAPCRASH" explain "$DIR/crash/core" >"$DIR/report" || [ $? -eq 1 ]
      is_proven "$DIR/report" "$READ"
    done
  done
}
