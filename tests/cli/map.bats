#!/usr/bin/env bats
# mapcrash map: bytes against gdb's, and lookups of keys against where the entries stand.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  for version in 1.23 1.27; do
    exe=$("$SOURCE_DIR/tools/build-program" $version contents normal "$DIR/$version")
    "$SOURCE_DIR/tools/crash" "$exe" "$DIR/$version" 1
    "$MAPCRASH" maps --json --limit 0 "$DIR/$version/core" >"$DIR/$version/maps.json"
  done
}

some_maps() { # VERSION: address, tab and type of a map of each of 25 types
  jq -r '[.maps[] | select(.count > 2)] | group_by(.type)[:25][] | first | "\(.address)\t\(.type)"' "$DIR/$1/maps.json"
}

@test "map --hex shows the bytes that gdb reads" {
  for version in 1.23 1.27; do
    some_maps $version | head -8 >"$DIR/maps"
    : >"$DIR/commands" >"$DIR/ours"
    while IFS=$'\t' read -r address type; do
      "$MAPCRASH" map --hex --json "$DIR/$version/core" "$address" "$type" |
        jq -r '.containers[:20][] | "\(.address) \(.bytes)"' >>"$DIR/ours"
    done <"$DIR/maps"
    [ "$(wc -l <"$DIR/ours")" -gt 10 ]
    while read -r address bytes; do
      echo "dump binary memory $DIR/bytes.$address $address $address+$((${#bytes} / 2))" >>"$DIR/commands"
    done <"$DIR/ours"
    gdb -nx -batch -iex 'set auto-load no' -x "$DIR/commands" "$DIR/$version/contents" "$DIR/$version/core" >/dev/null 2>&1
    while read -r address bytes; do
      [ "$(od -An -v -tx1 "$DIR/bytes.$address" | tr -d ' \n')" = "$bytes" ]
    done <"$DIR/ours"
  done
}

@test "map --key finds each key where its entry stands" {
  for version in 1.23 1.27; do
    some_maps $version >"$DIR/maps"
    looked=0
    while IFS=$'\t' read -r address type; do
      "$MAPCRASH" map --json "$DIR/$version/core" "$address" "$type" |
        jq -r '[.entries[] | select(.key | contains("NaN") | not)] | (first, last) | "\(.slot)\t\(.key)"' >"$DIR/keys"
      while IFS=$'\t' read -r slot key; do
        slot_found=$("$MAPCRASH" map --json --key="$key" "$DIR/$version/core" "$address" "$type" |
          jq -r '.lookup | select(.found) | .slot')
        echo "$type $key: $slot_found, not $slot"
        [ "$slot_found" = "$slot" ]
        looked=$((looked + 1))
      done < <(grep -v '\\' "$DIR/keys")
    done <"$DIR/maps"
    [ $looked -ge 30 ]
  done
}

@test "map --key of a key that is not there shows the way and says so" {
  for version in 1.23 1.27; do
    address=$(jq -r '[.maps[] | select(.type == "map[int]int" and .count > 20)][0].address' "$DIR/$version/maps.json")
    run "$MAPCRASH" map --key 987654321987 "$DIR/$version/core" "$address" 'map[int]int'
    [ "$status" -eq 0 ]
    [[ "$output" == *"lookup    987654321987: hash 0x"* ]]
    [[ "$output" == *"the key is not in the map"* ]]
    [[ "$output" =~ (bucket|group)\ +[0-9]+\ at\ 0x ]]
  done
}

@test "map --key of what is no key of the map says so" {
  address=$(jq -r '[.maps[] | select(.type == "map[int]int")][0].address' "$DIR/1.23/maps.json")
  run --separate-stderr "$MAPCRASH" map --key x1 "$DIR/1.23/core" "$address" 'map[int]int'
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"x1 is no key of map[int]int"* ]]
}

@test "map --hex marks the words that the collector follows" {
  address=$(jq -r '[.maps[] | select(.type == "map[string]int" and .count > 2)][0].address' "$DIR/1.27/maps.json")
  run "$MAPCRASH" map --hex --limit 1 "$DIR/1.27/core" "$address" 'map[string]int'
  [[ "$output" == *"A star marks the words"* ]]
  # each slot: pointer of the string, its length, the int
  [ "$(grep -cE '^  \+[0-9]+ +\* .* key [0-7]' <<<"$output")" -eq 8 ]
  [ "$(grep -cE '^  \+[0-9]+ +\* .* elem [0-7]' <<<"$output")" -eq 0 ]
}

@test "map's JSON fits its schema" {
  for version in 1.23 1.27; do
    some_maps $version | head -3 >"$DIR/maps"
    while IFS=$'\t' read -r address type; do
      key=$("$MAPCRASH" map --json "$DIR/$version/core" "$address" "$type" | jq -r '.entries[0].key')
      "$MAPCRASH" map --json --check --hex --limit 5 --key="$key" "$DIR/$version/core" "$address" "$type" >"$DIR/map.json"
      python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
        "$DIR/map.json" "$SOURCE_DIR/docs/map.schema.json"
    done <"$DIR/maps"
  done
}
