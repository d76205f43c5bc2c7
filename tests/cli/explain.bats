#!/usr/bin/env bats
# The commands as a user runs them, on one real crash and on what is none.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  export CRASH_ALONE=1
  exe=$("$SOURCE_DIR/tools/build-program" 1.23 structfield normal "$DIR")
  "$SOURCE_DIR/tools/crash" "$exe" "$DIR" 50
  "$SOURCE_DIR/tools/build-program" 1.26 readwrite normal "$DIR" >/dev/null
  exe=$("$SOURCE_DIR/tools/build-program" 1.23 doublecheck normal "$DIR")
  "$SOURCE_DIR/tools/crash" "$exe" "$DIR/locks" 50
}

says() { # STATUS PATTERN COMMAND...: the exit status, and what standard error says
  local want=$1 pattern=$2
  shift 2
  run --separate-stderr "$@"
  echo "status $status, stderr: $stderr"
  [ "$status" -eq "$want" ]
  [ -n "$stderr" ]
  [[ "$stderr" == *$pattern* ]]
  [[ "$stderr" != *$'\033'* ]]
}

@test "explain names both sides, the map and its owner" {
  run "$MAPCRASH" explain "$DIR/core"
  [ "$status" -eq 0 ]
  [[ "$output" == *"fatal error: concurrent map"* ]]
  [[ "$output" == *"main.(*directory).names, map[uint32]string at 0x"* ]]
  [[ "$output" == *"detector  goroutine "* ]]
  [[ "$output" == *"structfield/main.go:"* ]]
}

@test "explain's JSON fits its schema" {
  "$MAPCRASH" explain --json "$DIR/core" >"$DIR/report.json"
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
    "$DIR/report.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "explain says which side takes which lock, and where" {
  run "$MAPCRASH" explain "$DIR/locks/core"
  echo "$output"
  [[ "$output" == *" takes main.(*limits).mu, the other side takes no lock"* ]]
  [[ "$output" == *": takes main.(*limits).mu (Lock at "*"doublecheck/main.go:28; now "* ]]
  [[ "$output" == *": takes no sync.Mutex and no sync.RWMutex; not main.(*limits).mu beside the map"* ]]
  "$MAPCRASH" explain --json "$DIR/locks/core" >"$DIR/locks/report.json"
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
    "$DIR/locks/report.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "explain says the same of a compressed core" {
  for tool in zstd lz4 xz; do
    case $tool in
      zstd) zstd -q -1 -f "$DIR/core" -o "$DIR/core.packed" ;;
      lz4) lz4 -q -f "$DIR/core" "$DIR/core.packed" ;;
      xz) xz -0 -c "$DIR/core" >"$DIR/core.packed" ;;
    esac
    diff <("$MAPCRASH" explain "$DIR/core" | tail -n +3) <("$MAPCRASH" explain "$DIR/core.packed" | tail -n +3)
  done
}

@test "no colour goes into a pipe, and --color always colours" {
  run "$MAPCRASH" explain "$DIR/core"
  [[ "$output" != *$'\033'* ]]
  run "$MAPCRASH" explain --color always "$DIR/core"
  [[ "$output" == *$'\033'* ]]
}

@test "--exit-code tells a race" {
  run "$MAPCRASH" explain --exit-code "$DIR/core"
  [ "$status" -eq 3 ]
}

@test "goroutines puts the racers first" {
  run "$MAPCRASH" goroutines "$DIR/core"
  [ "$status" -eq 0 ]
  [[ "${lines[1]}" == *"of the race" ]]
}

@test "maps lists the map that raced, and map --check shows it" {
  run "$MAPCRASH" maps "$DIR/core"
  [[ "$output" == *"main.(*directory).names"* ]]
  addr=$("$MAPCRASH" explain --json "$DIR/core" |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["map"]["address"])')
  run "$MAPCRASH" map --check "$DIR/core" "$addr"
  [[ "$output" == *"map[uint32]string at $addr"* ]]
  [[ "$output" == *"check     "* ]]
}

@test "a wrong executable is refused by its build id, and --force-exe says that it was forced" {
  says 2 "is another program" "$MAPCRASH" explain --exe "$DIR/readwrite" "$DIR/core"
  run "$MAPCRASH" explain --exe "$DIR/readwrite" --force-exe "$DIR/core"
  [ "$status" -ne 0 ]
}

@test "a missing executable says what to do" {
  mv "$DIR/structfield" "$DIR/moved"
  says 2 "--exe" "$MAPCRASH" explain "$DIR/core"
  run "$MAPCRASH" explain --exe "$DIR/moved" "$DIR/core"
  [ "$status" -eq 0 ]
  mv "$DIR/moved" "$DIR/structfield"
}

@test "what is no core is told, and not waited for" {
  : >"$DIR/empty"
  echo "hello" >"$DIR/text"
  mkfifo "$DIR/fifo"
  for what in empty text fifo none; do
    says 2 "" timeout 10 "$MAPCRASH" explain "$DIR/$what"
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
  done
  says 2 "" "$MAPCRASH" explain "$DIR"
  says 2 "" "$MAPCRASH" explain /dev/null
  says 2 "" "$MAPCRASH" explain /bin/true
}

@test "a core that is cut anywhere is explained as far as it goes, or refused" {
  size=$(stat -c %s "$DIR/core")
  for part in 0.00001 0.0001 0.001 0.01 0.05 0.1 0.3 0.6 0.9 0.99; do
    head -c "$(python3 -c "print(int($size * $part))")" "$DIR/core" >"$DIR/cut"
    run timeout 60 "$MAPCRASH" explain "$DIR/cut"
    echo "at $part: $status: ${lines[0]}"
    [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
  done
}

@test "wrong usage exits 64" {
  says 64 "no such command" "$MAPCRASH" frobnicate
  says 64 "operand" "$MAPCRASH" explain
  says 64 "no such option" "$MAPCRASH" explain --frobnicate "$DIR/core"
  says 64 "not an address" "$MAPCRASH" map "$DIR/core" hello
  says 64 "--color" "$MAPCRASH" explain --color blue "$DIR/core"
}

# CPU time that process $1 has used, in ticks.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

@test "a healthy process is read again and again, and runs on unharmed" {
  exe=$("$SOURCE_DIR/tools/build-program" 1.26 healthylocks normal "$DIR")
  "$exe" >"$DIR/ready" 2>&1 3>&- &
  pid=$!
  until grep -q ready "$DIR/ready"; do sleep 0.1; done
  # Stopped at any instruction: a map may be in the middle of a write, which is no crash.
  for round in {1..20}; do
    run --separate-stderr "$MAPCRASH" explain --json "$pid"
    echo "round $round: $status $stderr"
    [ "$status" -le 1 ]
    jq -e --argjson status "$status" '.cause == "none" and .grade == null and .message == null and
      .accesses == [] and .source.kind == "process" and ((.notes | length > 0) == ($status == 1))' <<<"$output"
  done
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.loads(sys.argv[1]), json.load(open(sys.argv[2])))' \
    "$output" "$SOURCE_DIR/docs/report.schema.json"
  run "$MAPCRASH" explain "$pid"
  [[ "$output" == *"not crashed"* ]]
  for command in goroutines maps; do
    run "$MAPCRASH" $command "$pid"
    echo "$output"
    [ "$status" -le 1 ]
  done
  [[ "$output" == *"map[string]int"* ]]
  # No one traces it, none of its threads is stopped, it works on, and it ends as it wants to.
  grep -q '^TracerPid:[[:space:]]*0$' "/proc/$pid/status"
  [ -z "$(grep -hE '^State:[[:space:]]*[tT]' "/proc/$pid/task"/*/status)" ]
  before=$(ticks "$pid")
  sleep 1
  [ "$(ticks "$pid")" -gt "$before" ]
  kill -TERM "$pid"
  wait "$pid"
}
