#!/usr/bin/env bats
# mapcrash writers: the code that can write maps. tests/writers holds what it says against the truth.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  for program in generics genericset structfield; do
    "$SOURCE_DIR/tools/build-program" 1.26 "$program" normal "$DIR" >/dev/null
  done
}

@test "writers lists the writes of a type with function, file, line and operation" {
  run "$MAPCRASH" writers "$DIR/genericset" 'main.Set[int]'
  [ "$status" -eq 0 ]
  [[ "$output" == *"main.Set[int] (0x"* ]]
  [[ "$output" =~ "  assign  main.Set[go.shape.int].Add".*"genericset/main.go:15" ]]
  [[ "$output" =~ "  delete  main.Set[go.shape.int].Remove".*"genericset/main.go:19" ]]
  [[ "$output" =~ "inlined into main.adder" ]]
  [[ "$output" != *"go.shape.string"* ]]
}

@test "writers without a type lists all, and says of which type each is" {
  run "$MAPCRASH" writers "$DIR/generics"
  [ "$status" -eq 0 ]
  [[ "$output" =~ "maps are written at "[0-9]+" places, 0 of them of more than one type" ]]
  [[ "$output" =~ "main.go:33  map[string]main.price" ]]
}

@test "writers' JSON fits its schema" {
  for arguments in "$DIR/generics" "$DIR/genericset main.Set[int]"; do
    # shellcheck disable=SC2086 # two words
    "$MAPCRASH" writers --json $arguments >"$DIR/writers.json"
    python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
      "$DIR/writers.json" "$SOURCE_DIR/docs/writers.schema.json"
  done
}

@test "writers of a type that is not there, or is no map, says so" {
  run --separate-stderr "$MAPCRASH" writers "$DIR/structfield" 'map[string]nothing'
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"no type called map[string]nothing"* ]]
  run --separate-stderr "$MAPCRASH" writers "$DIR/structfield" string
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"string is no map type"* ]]
}

@test "writers of an address shows what writes to it, and through which goroutine" {
  program=$("$SOURCE_DIR/tools/build-program" 1.26 global normal)
  "$SOURCE_DIR/tools/crash" "$program" "$DIR/global" >/dev/null
  # The flag of the map that two goroutines raced for.
  map=$(sed -n 's/^map \(0x[0-9a-f]*\)$/\1/p' "$DIR/global/stderr")
  run "$MAPCRASH" writers "$DIR/global/core" "$(printf '0x%x' $((map + 34)))"
  [ "$status" -le 1 ]
  # Who raced may be past the map by then: tests/stores has goroutines that hold still.
  [[ "$output" =~ "Written through what goroutines hold now: "[0-9]+" places" ]]
  "$MAPCRASH" writers --json "$DIR/global/core" "$(printf '0x%x' $((map + 34)))" >"$DIR/stores.json" || [ $? = 1 ]
  # The variable that holds the map.
  variable=0x$(nm "$program" | sed -n 's/^\([0-9a-f]*\) . main.handlers$/\1/p')
  run "$MAPCRASH" writers "$program" "$variable"
  [ "$status" -eq 0 ]
  [[ "$output" == *"is main.handlers"* ]]
  [[ "$output" =~ "store ".*"main.init" ]]
  [[ "$output" != *goroutine* ]]
  "$MAPCRASH" writers --json "$program" "$variable" >"$DIR/stores-exe.json"
  for report in "$DIR/stores.json" "$DIR/stores-exe.json"; do
    python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
      "$report" "$SOURCE_DIR/docs/stores.schema.json"
  done
}
