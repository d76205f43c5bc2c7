#!/usr/bin/env bats
# mapcrash layout: structs against gdb's reading of DWARF, stripped programs against whole ones, and the
# article's claims against what was measured of each version.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  for version in 1.19 1.23 1.27; do
    "$SOURCE_DIR/tools/build-program" $version jsonmarshal normal "$DIR/$version" >/dev/null
    "$SOURCE_DIR/tools/build-program" $version jsonmarshal stripped "$DIR/$version-stripped" >/dev/null
  done
}

claim() { # EXE SAID: the verdict on that claim
  "$MAPCRASH" layout --check --json "$1" | jq -r --arg said "$2" '.claims[] | select(.said == $said) | .verdict'
}

@test "layout shows the same offsets and sizes as gdb" {
  for version in 1.19 1.23 1.27; do
    "$MAPCRASH" layout --json "$DIR/$version/jsonmarshal" >"$DIR/ours.json"
    python3 "$SOURCE_DIR/tests/layout/compare_gdb.py" "$DIR/$version/jsonmarshal" "$DIR/ours.json"
  done
}

@test "layout of a stripped program is that of the whole one" {
  for version in 1.19 1.23 1.27; do
    for kind in "" -stripped; do
      "$MAPCRASH" layout --json "$DIR/$version$kind/jsonmarshal" >"$DIR/layout$kind.json"
    done
    python3 - "$DIR/layout.json" "$DIR/layout-stripped.json" <<'PYTHON'
import json, sys
whole, stripped = (json.load(open(path))["structs"] for path in sys.argv[1:])
assert len(whole) == len(stripped) == 7, (len(whole), len(stripped))
fields = 0
for w, s in zip(whole, stripped):
    assert w["size"] == s["size"], (w["name"], w["size"], s["size"])
    of = {f["name"]: f for f in w["fields"]}
    assert s["from"] == "table" or len(of) == len(s["fields"])
    for f in s["fields"]:
        assert of[f["name"]]["offset"] == f["offset"], (w["name"], f)
        assert f["size"] in (None, of[f["name"]]["size"]), (w["name"], f)
        fields += 1
assert fields > 100, fields
PYTHON
  done
}

@test "layout of a map type shows its bucket or group and what the collector follows" {
  run "$MAPCRASH" layout "$DIR/1.23/jsonmarshal" 'map[string]float64'
  [ "$status" -eq 0 ]
  [[ "$output" == *"bucket  208 bytes"* ]]
  [[ "$output" == *"pointers  .*.*.*.*.*.*.*.*.........*"* ]]
  run "$MAPCRASH" layout "$DIR/1.27/jsonmarshal" 'map[string]interface {}'
  [ "$status" -eq 0 ]
  [[ "$output" == *"group  264 bytes"* ]]
  [[ "$output" == *"slot  32 bytes"* ]]
  [[ "$output" == *"pointers  .*..**..**..**..**..**..**..**..*"* ]]
}

@test "layout of a struct of the program shows its padding" {
  "$MAPCRASH" layout --json "$DIR/1.27/jsonmarshal" runtime.hchan >"$DIR/hchan.json"
  jq -e '.structs[0] | .fields | length > 5' "$DIR/hchan.json"
  jq -e '.structs[0] | .size == ([.fields[] | .size + .padding] | add) + .fields[0].offset' "$DIR/hchan.json"
}

@test "layout --check finds the article's claims as they were measured" {
  for version in 1.19 1.23 1.27; do
    exe=$DIR/$version/jsonmarshal
    hmap=true swiss=false
    [ $version = 1.27 ] && hmap=false swiss=true
    [ "$(claim "$exe" "flags is at +8")" = $hmap ]
    [ "$(claim "$exe" "hmap has 48 bytes (Go 1.22)")" = $hmap ]
    [ "$(claim "$exe" "buckets are chained by an overflow pointer")" = $hmap ]
    [ "$(claim "$exe" "the compiler pads between the header's fields")" = $swiss ]
    [ "$(claim "$exe" "tophash stands in front")" = true ]
    [ "$(claim "$exe" "the writing flag (hashWriting) is 0x02")" = false ]
    [ "$(claim "$exe" "B is at +16")" = false ]
    [ "$(claim "$exe" "buckets is at +24")" = false ]
    [ "$(claim "$exe" "count is a uint8")" = false ]
    [ "$(claim "$exe" "a bucket is 2^B bytes")" = false ]
    [ "$(claim "$exe" "the size is the symbol runtime.bucketsize")" = false ]
    [ "$(claim "$exe" "a ptrmask stands behind each bucket")" = false ]
    [ "$("$MAPCRASH" layout --check "$exe" | grep -c undecided)" -eq 0 ]
  done
}

@test "layout's JSON fits its schema" {
  for exe in 1.23/jsonmarshal 1.27-stripped/jsonmarshal; do
    type=$("$MAPCRASH" layout --check --json "$DIR/$exe" | jq -r '.claims[].measured' | grep -om1 'map\[.*') || true
    for arguments in "" "--check" "runtime.g ${type%% *}"; do
      # shellcheck disable=SC2086 # words
      "$MAPCRASH" layout --json "$DIR/$exe" $arguments >"$DIR/layout.json"
      python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
        "$DIR/layout.json" "$SOURCE_DIR/docs/layout.schema.json"
    done
    [ "$(jq '.maps | length' "$DIR/layout.json")" -eq 1 ]
  done
}

@test "layout of what is not there says so" {
  run --separate-stderr "$MAPCRASH" layout "$DIR/1.23/jsonmarshal" main.Nothing
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [[ "$stderr" == *"no struct or map type called main.Nothing"* ]]
}
