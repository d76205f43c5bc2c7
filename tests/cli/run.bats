#!/usr/bin/env bats
# Programs under the recorder, as a user runs them.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  for version in 1.23 1.26; do
    for program in structfield readwrite; do
      "$SOURCE_DIR/tools/build-program" $version $program normal "$DIR/$version" >/dev/null
    done
  done
  for version in 1.22 1.27; do
    "$SOURCE_DIR/tools/build-program" $version article normal "$DIR/$version" >/dev/null
    "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/live/stray" normal "$DIR/$version" >/dev/null
  done
  "$SOURCE_DIR/tools/build-program" 1.26 explicitpanic normal "$DIR" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.26 healthylocks normal "$DIR" >/dev/null
}

@test "a race is proven, with both sides, after the program's own output" {
  for version in 1.23 1.26; do
    for program in structfield readwrite; do
      run --separate-stderr "$MAPCRASH" run -- "$DIR/$version/$program"
      echo "$version $program: $status"
      echo "$stderr"
      [ "$status" -eq 2 ]
      [[ "$stderr" == *"fatal error: concurrent map"*"goroutine "*"fatal error: concurrent map"*"verdict   proven"* ]]
      [[ "$stderr" == *"detector  goroutine "*"$program/main.go:"*"other     goroutine "*"$program/main.go:"* ]]
    done
  done
}

@test "the article's program, which one run in five survives, dies at the first try under --hold, and is proven" {
  # On a machine with ten times more to do than it has processors it takes that long until the other one runs.
  for version in 1.22 1.27; do
    for _ in 1 2 3 4 5 6 7 8; do
      run --separate-stderr "$MAPCRASH" run --hold 200 -- "$DIR/$version/article"
      echo "$version: $status: $stderr"
      [ "$status" -eq 2 ]
      [[ "$stderr" == *"verdict   proven"*"article/main.go:19"*"article/main.go:19"* ]]
    done
  done
}

@test "a stray flag is not blamed on the one who wrote the map before" {
  for version in 1.22 1.27; do
    run --separate-stderr "$MAPCRASH" run -- "$DIR/$version/stray"
    echo "$stderr"
    [[ "$stderr" == *"verdict   "*"recorded: no other write of this map was in flight"* ]]
    [[ "$stderr" != *"verdict   proven"* ]]
    for i in 1 2 3; do
      run --separate-stderr "$MAPCRASH" run -- "$DIR/$version/stray" clear
      echo "$stderr"
      [[ "$stderr" == *"fatal error: concurrent map writes"*"verdict   "*"exit check"* ]]
      [[ "$stderr" != *"verdict   proven"* ]]
      run --separate-stderr "$MAPCRASH" run -- "$DIR/$version/stray" set
      echo "$stderr"
      [[ "$stderr" == *"fatal error: concurrent map writes"*"verdict   "* ]]
      [[ "$stderr" != *"verdict   proven"* ]]
    done
  done
}

@test "the JSON report goes to standard output and fits its schema" {
  "$MAPCRASH" run --json -- "$DIR/1.26/structfield" >"$DIR/report.json" 2>"$DIR/stderr" || [ $? -eq 2 ]
  python3 -c '
import json, sys, jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[2])))
assert report["grade"] == "proven", report["grade"]
assert not report["notes"], report["notes"]' "$DIR/report.json" "$SOURCE_DIR/docs/report.schema.json"
  ! grep -q verdict "$DIR/stderr"
}

@test "-o (--output) writes the report into a file" {
  run --separate-stderr "$MAPCRASH" run -o "$DIR/report" -- "$DIR/1.23/structfield"
  grep -q "verdict   proven" "$DIR/report"
  [[ "$stderr" != *"verdict   proven"* ]]
}

@test "exit status, arguments and standard output are the program's own" {
  run --separate-stderr "$MAPCRASH" run "$DIR/explicitpanic"
  [ "$status" -eq 2 ]
  [[ "$stderr" == panic:* ]]
  [[ "$stderr" != *verdict* ]]
}

@test "a signal that is sent to us reaches the program, and we end as it does" {
  "$MAPCRASH" run -- "$DIR/healthylocks" >"$DIR/ready" 2>&1 3>&- &
  pid=$!
  until grep -q ready "$DIR/ready"; do sleep 0.1; done
  kill -TERM $pid
  status=0
  wait $pid || status=$?
  "$DIR/healthylocks" >"$DIR/ready2" 2>&1 3>&- &
  pid=$!
  until grep -q ready "$DIR/ready2"; do sleep 0.1; done
  kill -TERM $pid
  bare=0
  wait $pid || bare=$?
  [ "$status" -eq "$bare" ]
}

@test "what cannot be recorded is refused in one line, and not run" {
  refused() { # PATTERN COMMAND...
    local pattern=$1
    shift
    run --separate-stderr "$MAPCRASH" run -- "$@"
    echo "status $status, stderr: $stderr"
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ "$stderr" == *$pattern* ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
  }
  refused "No such file" "$DIR/missing"
  refused "not a Go program" /bin/echo hello
  cp "$DIR/1.26/structfield" "$DIR/setuid"
  chmod u+s "$DIR/setuid"
  refused "setuid" "$DIR/setuid"
}

@test "the core of a recorded program is explained by the recorder's table" {
  [ "$(cat /proc/sys/kernel/core_pattern)" = core ] || skip "kernel.core_pattern puts cores elsewhere"
  [ "$(ulimit -Hc)" = unlimited ] || skip "the hard limit allows no core (ulimit -Hc)"
  mkdir -p "$DIR/core"
  # A sanitizer's own limit would be the program's as well.
  export ASAN_OPTIONS=disable_coredump=0:${ASAN_OPTIONS:-}
  (cd "$DIR/core" && ulimit -Sc unlimited &&
    GOTRACEBACK=crash "$MAPCRASH" run --output "$DIR/core/report" -- "$DIR/1.26/structfield" 2>/dev/null) || true
  ls "$DIR/core"
  run "$MAPCRASH" explain "$DIR"/core/core*
  echo "$output"
  [[ "$output" == *"verdict   proven"*"recorded: its write of the same map"* ]]
}

@test "a program that was built with a profile is recorded: writers are inlined into other map functions" {
  for version in 1.26 1.27; do
    (cd "$SOURCE_DIR/tests/live/profiled" && "$SOURCE_DIR/tools/go" $version build -o "$DIR/profiled-$version" .)
    # or this test would show nothing
    run ! "$MAPCRASH" code "$DIR/profiled-$version" 'maps.(*Map).Clear'
    run --separate-stderr "$MAPCRASH" run -- "$DIR/profiled-$version"
    echo "$status: $stderr"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"verdict   proven"* ]]
  done
}

@test "a filter of system calls that a program gives itself later kills for nothing that holds and a report need" {
  for version in 1.19 1.26; do
    "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/live/filtered" normal "$DIR/$version" >/dev/null
    run "$DIR/$version/filtered" locked
    [ "$status" -ne 159 ] || skip "Go itself calls what the filter kills for: no time from the vDSO?"
    [ "$output" = $'filtered\ncounted 2000' ]
    for options in "--hold 5" "--report-only --reads --hold 5"; do
      # shellcheck disable=SC2086
      run --separate-stderr "$MAPCRASH" run $options -- "$DIR/$version/filtered" locked
      echo "$version $options: $status $output $stderr"
      [ "$status" -eq 0 ]
      [ "$output" = $'filtered\ncounted 2000' ]
    done
    run --separate-stderr "$MAPCRASH" run --hold 50 -- "$DIR/$version/filtered" racing
    echo "$version: $status $stderr"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"fatal error: concurrent map writes"*"goroutine "*"verdict   proven"*"filtered/main.go:"* ]]
  done
}
