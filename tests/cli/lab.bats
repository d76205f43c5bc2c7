#!/usr/bin/env bats
# mapcrash lab, and mapcrash map on maps of libgomap: decoded as what the program itself says they hold.

bats_require_minimum_version 1.5.0

setup_file() {
  gcc -O1 -D_GNU_SOURCE -I"$SOURCE_DIR/include" "$SOURCE_DIR"/tests/cli/lab_maps.c "$SOURCE_DIR"/lib/gomap/*.c \
    -I"$SOURCE_DIR/lib/gomap" -pthread -o "$BATS_FILE_TMPDIR/maps"
}

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
  [[ "$output" =~ lab-out/core\ (0x[0-9a-f]+) ]]
  run "$MAPCRASH" map --check --key grace lab-out/core "${BASH_REMATCH[1]}"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"nothing wrong in 8 entries"*"lookup    grace"*"has the key"*": 7" ]]
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

# Starts a program with maps of all kinds: NAME.want has what a map holds, NAME.addr where it is, $pid has
# the process.
start_maps() {
  coproc MAPS { exec "$BATS_FILE_TMPDIR/maps"; }
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
  [ "$(ls -- *.want | wc -l)" -eq 6 ]
}

@test "maps of libgomap of all kinds of keys are decoded whole, growing ones too" {
  start_maps
  for want in *.want; do
    name=${want%.want}
    "$MAPCRASH" map --check --limit 0 "$pid" "$(cat "$name.addr")" >"$name.got"
    grep -v '^  [a-zA-Z0-9 ]\{14\} ' "$name.got" | grep '^  ' | sort >"$name.entries"
    sort "$want" | diff - "$name.entries"
    grep -q "^check     nothing wrong in $(wc -l <"$want") entries" "$name.got"
  done
  grep -q '(growing)' ints.got
  # hashes of integers and strings are the library's own, others the program's
  for name in ints shorts strings empties; do [ "$(grep -c 'hashes were not checked' "$name.got")" -eq 0 ]; done
  for name in wides doubles; do grep -q 'hashes were not checked: the program hashes such keys' "$name.got"; done
}

@test "each key of libgomap's integers and strings is found by its hash where it stands" {
  start_maps
  looked=0
  for name in ints shorts strings; do
    addr=$(cat "$name.addr")
    "$MAPCRASH" map --json "$pid" "$addr" | jq -r '.entries[:6][] | "\(.slot)\t\(.value)\t\(.key)"' >keys
    while IFS=$'\t' read -r slot value key; do
      found=$("$MAPCRASH" map --json --key="$key" "$pid" "$addr" | jq -r '.lookup | "\(.slot) \(.value)"')
      echo "$name $key: $found, not $slot $value"
      [ "$found" = "$slot $value" ]
      looked=$((looked + 1))
    done <keys
  done
  [ $looked -eq 14 ]
  run "$MAPCRASH" map --key 12345 "$pid" "$(cat ints.addr)"
  [ "$status" -eq 0 ]
  [[ "$output" == *"the key is not in the map"* ]]
  run "$MAPCRASH" map --key 1.25 "$pid" "$(cat doubles.addr)"
  [ "$status" -eq 2 ]
  [[ "$output" == *"the program hashes such keys by a function of its own"* ]]
}

@test "the JSON of libgomap's maps fits the schema and holds the entries and the writer" {
  start_maps
  for want in *.want; do
    name=${want%.want}
    "$MAPCRASH" map --json --check --hex --limit 0 "$pid" "$(cat "$name.addr")" >"$name.json"
    [ "$(jq -r '.check.findings | length' "$name.json")" -eq 0 ]
  done
  python3 -c '
import json, sys, jsonschema
for path in sys.argv[2:]:
    jsonschema.validate(json.load(open(path)), json.load(open(sys.argv[1])))' \
    "$SOURCE_DIR/docs/map.schema.json" ./*.json
  jq -r '.entries[] | "  \(.key): \(.value)"' ints.json | sort >got
  sort ints.want | diff - got
  [ "$(jq -r '"\(.writer.thread) \(.writer.writing) \(.writer.operation) \(.writer.function) \(.writer.owner_writes)"' ints.json)" \
    = "$pid false assign main 417" ]
  [ "$(jq -r '.writer, .go_version, .source.kind' empties.json)" = $'null\nnull\nprocess' ]
}

@test "map --hex names the fields of libgomap's header and shows the buckets" {
  start_maps
  run "$MAPCRASH" map --hex --limit 1 "$pid" "$(cat strings.addr)"
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"+0      02 00 00 00 00 00 00 00  count             2"* ]]
  [[ "$output" == *"+112    67 6f 6d 61 70 2f 30 31  descriptor "* ]]
  [[ "$output" == *"bucket 0 at 0x"*", 2 of 8 slots used"*"key 0     \""* ]]
}

@test "what is no map of libgomap is refused" {
  sleep 60 3>&- &
  echo $! >pid
  run "$MAPCRASH" map $! 0x1000
  [ "$status" -eq 2 ]
}

# A machine where no Go can be had: nothing in the cache, and apt knows of no mirror.
@test "make demo falls back on the lab where no Go can be had" {
  mkdir tree cache
  ln -s "$SOURCE_DIR/tools" tree/tools
  printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "-";\n' >apt.conf
  run env XDG_CACHE_HOME="$PWD/cache" APT_CONFIG="$PWD/apt.conf" tree/tools/demo
  echo "$output"
  [ "$status" -eq 0 ]
  [[ "$output" == *"no Go to be had here: go-toolchains: apt's configuration names no mirror"* ]]
  [[ "$output" == *"/mapcrash lab demo-out"* ]]
  [[ "$output" == *"fatal error: concurrent map writes"*"writing now    thread "*", assign, called in first_thread"* ]]
  [ "$(grep -c '^  "[a-z]*": [1-8]$' <<<"$output")" -eq 8 ]
  [ -d tree/demo-out ]
  [ -z "$(find cache -name 'go*' -type f)" ]
}
