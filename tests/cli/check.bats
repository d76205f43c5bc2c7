#!/usr/bin/env bats
# mapcrash check: the binary, and what the machine would leave of a crash.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  "$SOURCE_DIR/tools/build-program" 1.23 goroutines normal "$DIR" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.27 goroutines stripped "$DIR/stripped" >/dev/null
  cd "$SOURCE_DIR/tests/programs/goroutines"
  CGO_ENABLED=0 "$SOURCE_DIR/tools/go" 1.23 build -buildvcs=false '-ldflags=-buildid=' -o "$DIR/noid" .
}

state() { # NAME ARGUMENTS...: state of the item of that name
  local name=$1
  shift
  "$MAPCRASH" check --json "$@" | jq -r --arg name "$name" '(.binary + .machine)[] | select(.name == $name) | .state'
}

@test "check of a whole binary finds nothing to mend" {
  run "$MAPCRASH" check --binary "$DIR/goroutines"
  [ "$status" -eq 0 ]
  [[ "$output" == "A crash would be explainable."* ]]
}

@test "check of a stripped binary misses the names only" {
  run "$MAPCRASH" check --binary "$DIR/stripped/goroutines"
  [ "$status" -eq 1 ]
  [[ "$output" == *"1 thing to mend"* ]]
  [ "$(state names --binary "$DIR/stripped/goroutines")" = less ]
}

@test "check of a binary without a build id says so" {
  run "$MAPCRASH" check --binary "$DIR/noid"
  [ "$status" -eq 1 ]
  [ "$(state "build id" --binary "$DIR/noid")" = less ]
}

@test "check tells what the environment leaves of a crash" {
  unset GOTRACEBACK
  [ "$(state GOTRACEBACK "$DIR/goroutines")" = less ]
  [ "$(GOTRACEBACK=crash state GOTRACEBACK "$DIR/goroutines")" = ok ]
  if [[ "$(cat /proc/sys/kernel/core_pattern)" != '|'* ]]; then
    [ "$(ulimit -S -c 0; state "core limit" "$DIR/goroutines")" = less ]
  fi
  run "$MAPCRASH" check "$DIR/goroutines"
  [ "$status" -eq 1 ]
  [[ "$output" == *"-> GOTRACEBACK=crash"* ]]
}

@test "check of a process looks at that process's environment and limits" {
  (ulimit -S -c 0; GOTRACEBACK=crash exec "$DIR/goroutines" wait) >"$DIR/out" 3>&- &
  pid=$!
  until [ -s "$DIR/out" ]; do sleep 0.1; done
  unset GOTRACEBACK
  found=$(state GOTRACEBACK $pid)
  limit=$("$MAPCRASH" check $pid | grep -A1 'core limit')
  kill $pid
  [ "$found" = ok ]
  if [[ "$(cat /proc/sys/kernel/core_pattern)" != '|'* ]]; then
    [[ "$limit" == *"0: no core is written"* ]]
  fi
}

@test "check of what cannot be explained exits 2" {
  run --separate-stderr "$MAPCRASH" check --binary /bin/ls
  [ "$status" -eq 2 ]
  [ -n "$stderr" ]
}

@test "check's JSON fits its schema" {
  for exe in goroutines stripped/goroutines noid; do
    "$MAPCRASH" check --json "$DIR/$exe" >"$DIR/check.json" || [ $? -eq 1 ]
    python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
      "$DIR/check.json" "$SOURCE_DIR/docs/check.schema.json"
  done
}
