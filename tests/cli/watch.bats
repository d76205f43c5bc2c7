#!/usr/bin/env bats
# mapcrash watch, as a user runs it. What it sees is held against programs by tests/watch/compare.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  "$SOURCE_DIR/tools/build-program" 1.26 healthylocks normal "$DIR" >/dev/null
  "$DIR/healthylocks" >"$DIR/out" 3>&- &
  echo $! >"$DIR/pid"
  until [ -s "$DIR/out" ]; do sleep 0.05; done
}

teardown_file() {
  kill "$(cat "$DIR/pid")"
}

@test "watch finds a map by its type, its owner and its address" {
  pid=$(cat "$DIR/pid")
  run "$MAPCRASH" watch --count 10 "$pid" 'map[string]int'
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"watching  main.(*counter).counts"*", map[string]int at 0x"* ]]
  [[ "$output" == *"set      00 > 01   assign main.(*counter).add  "*"healthylocks/main.go:24"* ]]
  [[ "$output" == *"10 changes, 5 writes by "* ]]
  [[ "$output" == *"overlaps  none"* ]]
  address=$(grep -o 'at 0x[0-9a-f]*' <<<"$output" | head -1)
  run "$MAPCRASH" watch --count 2 "$pid" "${address#at }"
  [ "$status" -eq 0 ]
  [[ "$output" == *"2 changes, 1 writes"* ]]
  run "$MAPCRASH" watch --duration 0.1 "$pid" os/signal.handlers.m
  [ "$status" -eq 0 ]
  [[ "$output" == *"the time is over: 0 changes"* ]]
}

@test "watch draws a picture" {
  run "$MAPCRASH" watch --count 40 --svg "$DIR/timeline.svg" "$(cat "$DIR/pid")" 'map[string]int'
  [ "$status" -eq 0 ]
  python3 -c 'import sys, xml.etree.ElementTree as x; assert len(list(x.parse(sys.argv[1]).iter())) > 10' "$DIR/timeline.svg"
  grep -q 'main.(\*counter).add main.go:24' "$DIR/timeline.svg"
}

@test "watch ends on a signal, and says what it saw" {
  "$MAPCRASH" watch "$(cat "$DIR/pid")" 'map[string]int' >"$DIR/watched" 3>&- &
  watcher=$!
  until [ -s "$DIR/watched" ]; do sleep 0.05; done
  kill -INT $watcher || true
  sleep 0.2
  kill -TERM $watcher || true # a shell's background jobs ignore SIGINT
  wait $watcher || [ $? -eq 1 ]
  grep -q '^watched   .*, ended by you: ' "$DIR/watched"
}

@test "watch says why it cannot" {
  pid=$(cat "$DIR/pid")
  refuses() { # PATTERN OPERAND...
    local pattern=$1
    shift
    run --separate-stderr "$MAPCRASH" watch "$@"
    echo "status $status, stderr: $stderr"
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [[ "$stderr" == *"$pattern"* ]]
  }
  refuses "no running process" "$DIR/healthylocks" 0x1000
  refuses "no memory at 0x1000" "$pid" 0x1000
  refuses "there is no map at" "$pid" "0x$(objdump -h "$DIR/healthylocks" | awk '$2 == ".text" {print $4}')"
  refuses "no map was found whose type or owner is map[int]float64" "$pid" 'map[int]float64'
  refuses "2 maps are called map[string]*unicode.RangeTable" "$pid" 'map[string]*unicode.RangeTable'
  run bash -c 'ulimit -n 24; "$MAPCRASH" watch "$0" "map[string]int"' "$pid"
  echo "$output"
  [ "$status" -eq 2 ]
  [[ "$output" == *"raise the limit (ulimit -n)"* ]]
  "$MAPCRASH" watch "$pid" 'map[string]int' >"$DIR/first" 3>&- &
  first=$!
  until [ -s "$DIR/first" ]; do sleep 0.05; done
  refuses "no hardware breakpoint is free" "$pid" 'map[string]int'
  kill "$first"
  wait "$first" || true
  run "$MAPCRASH" watch --duration soon "$pid" 'map[string]int'
  [ "$status" -eq 64 ]
}

@test "the watched process runs on" {
  kill -0 "$(cat "$DIR/pid")"
}
