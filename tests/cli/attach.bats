#!/usr/bin/env bats
# The recorder on running processes, and races that are forced.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  for version in 1.22 1.27; do
    for program in checked rare; do
      "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/live/$program" normal "$DIR/$version" >/dev/null
    done
  done
}

says() { # FILE WORD: waits for a word in a file that a command in the background writes
  until grep -qs "$2" "$1"; do sleep 0.02; done
}

start() { # COMMAND...: runs it until it says that it is ready; sets pid
  rm -f "$DIR/output"
  "$@" >"$DIR/output" 2>&1 3>&- &
  pid=$!
  says "$DIR/output" ready
}

start_recorder() { # attaches to pid, and stays; sets ours
  rm -f "$DIR/attach"
  "$MAPCRASH" attach "$pid" 2>"$DIR/attach" 3>&- &
  ours=$!
  says "$DIR/attach" recording
}

teardown() {
  if [ -n "${pid-}" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
}

ends_well() { # the program that start started finds its maps in order
  kill -TERM "$pid"
  wait "$pid"
  grep -q '^ok ' "$DIR/output"
}

@test "a race that shows once in twenty minutes is forced within five seconds, and proven" {
  for version in 1.22 1.27; do
    run --separate-stderr timeout 5 "$MAPCRASH" run --hold 50 -- "$DIR/$version/rare"
    echo "$status: $stderr"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"verdict   proven"*"rare/main.go:16"*"rare/main.go:16"* ]]
  done
}

@test "attach forces it too, and exits 3" {
  start "$DIR/1.27/rare"
  run --separate-stderr timeout 10 "$MAPCRASH" attach --hold 50 "$pid"
  echo "$stderr"
  [ "$status" -eq 3 ]
  [[ "$stderr" == *"stood still for "*"verdict   proven"* ]]
  status=0
  wait "$pid" || status=$?
  [ "$status" -eq 2 ]
}

@test "a program that locks its maps is held and not harmed" {
  for version in 1.22 1.27; do
    start "$DIR/$version/checked"
    run --separate-stderr "$MAPCRASH" attach --hold 3 --duration 3 "$pid"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *detached* ]]
    [[ "$stderr" != *verdict* ]]
    ends_well
  done
}

@test "attach and detach, or a killed mapcrash, leave the program running" {
  start "$DIR/1.27/checked"
  for _ in 1 2 3 4 5; do
    "$MAPCRASH" attach --duration 0 "$pid"
    start_recorder
    kill -KILL $ours
    wait $ours || true
  done
  ends_well
}

@test "one process has one recorder, and one tracer" {
  start "$DIR/1.27/checked"
  start_recorder
  run --separate-stderr "$MAPCRASH" attach --duration 0 "$pid"
  echo "$stderr"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"is recorded by process $ours already"* ]]
  kill -INT $ours
  wait $ours
  grep -q detached "$DIR/attach"
  strace -qq -p "$pid" -e trace=none 2>/dev/null 3>&- &
  tracer=$!
  until grep -q "^TracerPid:.$tracer" /proc/$pid/status; do sleep 0.05; done
  run --separate-stderr "$MAPCRASH" attach --duration 0 "$pid"
  kill $tracer
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"already traced by $tracer"* ]]
  ends_well
}

@test "holds are refused where they can force nothing" {
  for way in "env GOMAXPROCS=1" "taskset -c 0"; do
    run --separate-stderr $way "$MAPCRASH" run --hold 50 -- "$DIR/1.27/rare"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"holds force nothing"* ]]
  done
}

@test "--map TYPE holds the writers of such maps only" {
  local type try
  for version in 1.19 1.27; do
    "$SOURCE_DIR/tools/build-program" $version "$SOURCE_DIR/tests/live/kinds" normal "$DIR/$version" >/dev/null
    for type in 'map[int]int' 'map[int32]int' 'map[string]int' 'map[*int]int' 'map[main.point]int' \
      'map[int]bool' 'map[int32]bool' 'map[string]bool' 'map[main.point]bool' 'map[int]string'; do
      # Where threads wait for a processor, writers of another type may meet by themselves.
      for try in 1 2 3; do
        rm -f "$DIR/report"
        "$MAPCRASH" run --hold 50 --map "$type" --json --output "$DIR/report" -- "$DIR/$version/kinds" >/dev/null 2>&1 ||
          [ $? -eq 2 ]
        run python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(r["grade"], r["map"]["type"])' "$DIR/report"
        echo "$version $type: $output"
        [ "$output" != "proven $type" ] || break
      done
      [ "$output" = "proven $type" ]
    done
  done
}

@test "a type that holds are to be for is one of the program's, and a map's" {
  run --separate-stderr "$MAPCRASH" run --hold 50 --map 'map[string]chan int' -- "$DIR/1.27/rare"
  [ "$status" -eq 2 ]
  [ "$stderr" = "mapcrash: the program has no type called map[string]chan int" ]
  run --separate-stderr "$MAPCRASH" run --hold 50 --map int -- "$DIR/1.27/rare"
  [ "$status" -eq 2 ]
  [ "$stderr" = "mapcrash: int is no map type" ]
  run --separate-stderr "$MAPCRASH" run --map 'map[int]int' -- "$DIR/1.27/rare"
  [ "$status" -eq 64 ]
}

@test "what cannot be attached to is refused in one line" {
  sleep 100 3>&- &
  pid=$!
  run --separate-stderr "$MAPCRASH" attach "$pid"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"not a Go program"* ]]
  run --separate-stderr "$MAPCRASH" attach 999999999
  [ "$status" -eq 2 ]
  run --separate-stderr "$MAPCRASH" attach hello
  [ "$status" -eq 64 ]
}
