#!/usr/bin/env bats
# mapcrash lab, and mapcrash map on maps of libgomap: decoded as what the program itself says they hold.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_TMPDIR"
}

teardown() {
  [ ! -e pid ] || kill "$(cat pid)"
}

@test "the lab's two writers are caught, and its core's map is decoded" {
  [ "$(cat /proc/sys/kernel/core_pattern)" = core ] || skip "kernel.core_pattern is not core"
  [ "$(ulimit -Hc)" != 0 ] || skip "ulimit -Hc is 0"
  run "$MAPCRASH" lab
  echo "$output"
  [ "$status" -eq 0 ]
  [ -f lab-out/core ]
  [[ "$output" == *"fatal error: concurrent map writes"* ]]
  [[ "$output" == *"(second), delete"*"the other: thread "*"(first), assign"* ]]
  [[ "$output" == *"$ mapcrash map lab-out/core 0x"*"map[string]int at 0x"*", 8 entries, bucket map, libgomap"* ]]
  [[ "$output" == *"flags          0x04 writing"* ]]
  [[ "$output" == *"writing now    thread "*", assign, called in first_thread"* ]]
  [ "$(grep -c '^  "[a-z]*": [1-8]$' <<<"$output")" -eq 8 ]
}

@test "where no core can be written, the lab reads the dying process" {
  run bash -c 'ulimit -Hc 0; "$MAPCRASH" lab elsewhere'
  echo "$output"
  [ "$status" -eq 0 ]
  [ ! -e elsewhere/core ]
  [[ "$output" == *"The kernel wrote no core"* ]]
  [[ "$output" == *"writing now    thread "*", assign, called in first_thread"* ]]
  [ "$(grep -c '^  "[a-z]*": [1-8]$' <<<"$output")" -eq 8 ]
}

@test "maps of libgomap of all kinds of keys are decoded whole, growing ones too" {
  gcc -O1 -D_GNU_SOURCE -I"$SOURCE_DIR/include" "$SOURCE_DIR"/tests/cli/lab_maps.c "$SOURCE_DIR"/lib/gomap/*.c \
    -I"$SOURCE_DIR/lib/gomap" -pthread -o maps
  coproc MAPS { exec ./maps; }
  pid=$MAPS_PID
  echo "$pid" >pid
  while read -r line; do
    [ "$line" != end ] || break
    case $line in
      map\ *) read -r _ addr name <<<"$line"; : >"$name.want" ;;
      *) echo "  $line" >>"$name.want" ;;
    esac
    echo "$addr" >"$name.addr"
  done <&"${MAPS[0]}"
  for want in *.want; do
    name=${want%.want}
    "$MAPCRASH" map --limit 0 "$pid" "$(cat "$name.addr")" >"$name.got"
    grep -v '^  [a-zA-Z0-9 ]\{14\} ' "$name.got" | grep '^  ' | sort >"$name.entries"
    sort "$want" | diff - "$name.entries"
  done
  [ "$(ls -- *.want | wc -l)" -eq 6 ]
  grep -q '(growing)' ints.got
}

@test "what is no map of libgomap is refused" {
  sleep 60 3>&- &
  echo $! >pid
  run "$MAPCRASH" map $! 0x1000
  [ "$status" -eq 2 ]
}
