#!/usr/bin/env bats
# mapcrash code: the machine code of the map functions, against objdump and against what was measured.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  "$SOURCE_DIR/tools/build-program" 1.23 structfield normal "$DIR" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.27 structfield stripped "$DIR/stripped" >/dev/null
  cd "$SOURCE_DIR/tests/programs/structfield"
  sed 's/^go .*/go 1.26/' "$SOURCE_DIR/tests/programs/go.mod" >"$DIR/go.mod"
  CGO_ENABLED=0 GOARCH=arm64 "$SOURCE_DIR/tools/go" 1.26 build -buildvcs=false "-modfile=$DIR/go.mod" -o "$DIR/arm64" .
}

@test "code shows the sites of every map function" {
  run "$MAPCRASH" code "$DIR/structfield"
  [ "$status" -eq 0 ]
  [[ "$output" == *"bucket maps: the flag is bit 4 of the byte at 8"* ]]
  [[ "$output" == *"runtime.mapassign_fast32  0x"* ]]
  [[ "$output" == *"runtime.mapiternext  0x"* ]]
  [[ "$output" =~ "and \$0xfffffffb,%ecx" ]]
  # each function that sets the flag clears it
  [ "$(grep -c 'sets +' <<<"$output")" -eq "$(grep -c 'clears +' <<<"$output")" ]
  # and each function that assigns sets it, once
  [ "$(grep -c 'SET$' <<<"$output")" -eq "$(grep -c '^runtime.mapassign' <<<"$output")" ]
  [ "$(grep -c 'SET$' <<<"$output")" -ge 4 ]
}

@test "code with a function shows all of it" {
  run "$MAPCRASH" code "$DIR/structfield" mapassign_fast32
  [ "$status" -eq 0 ]
  [[ "$output" =~ "push %rbp" ]]
  [[ "$output" =~ "call "[0-9a-f]+" <runtime.fatal>"\ +"FATAL of +" ]]
  [[ "$output" =~ "check at entry, else +" ]]
  [[ "$output" =~ "check at exit, else +" ]]
}

@test "code's addresses and bytes are objdump's" {
  for exe in structfield arm64; do
    objdump=objdump
    [ "$exe" = arm64 ] && objdump=aarch64-linux-gnu-objdump
    "$MAPCRASH" code --json "$DIR/$exe" | jq -r '.functions[].instructions[] | "\(.address) \(.bytes)"' | sort >"$DIR/ours"
    [ "$(wc -l <"$DIR/ours")" -gt 2000 ]
    # arm64's objdump shows words, not bytes in memory's order
    "$objdump" -d -w -z --section=.text "$DIR/$exe" |
      awk -F'\t' -v arm64="$exe" '/^ *[0-9a-f]+:\t/ {
        addr = $1; gsub(/[ :]/, "", addr); bytes = $2; gsub(/ /, "", bytes)
        if (arm64 == "arm64") bytes = substr(bytes, 7, 2) substr(bytes, 5, 2) substr(bytes, 3, 2) substr(bytes, 1, 2)
        print "0x" addr " " bytes }' | sort >"$DIR/theirs"
    run comm -23 "$DIR/ours" "$DIR/theirs"
    echo "$exe: $output"
    [ -z "$output" ]
  done
}

@test "code's file offsets hold its bytes" {
  "$MAPCRASH" code --json "$DIR/stripped/structfield" |
    jq -r '.functions[] | "\(.file_offset) \(.size) \([.instructions[].bytes] | join(""))"' >"$DIR/functions"
  [ "$(wc -l <"$DIR/functions")" -gt 5 ]
  while read -r offset size bytes; do
    [ "$(tail -c +$((offset + 1)) "$DIR/stripped/structfield" | head -c "$size" | od -An -v -tx1 | tr -d ' \n')" = "$bytes" ]
  done <"$DIR/functions"
}

@test "code's JSON fits its schema" {
  for exe in structfield arm64 stripped/structfield; do
    "$MAPCRASH" code --json "$DIR/$exe" >"$DIR/code.json"
    python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
      "$DIR/code.json" "$SOURCE_DIR/docs/code.schema.json"
  done
}

@test "code of a function that is not there says so" {
  run --separate-stderr "$MAPCRASH" code "$DIR/structfield" mapassign_slow
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [[ "$stderr" == *"no function called mapassign_slow"* ]]
}

@test "code of what is no Go program says so" {
  run --separate-stderr "$MAPCRASH" code /bin/ls
  [ "$status" -eq 2 ]
  [ -n "$stderr" ]
}
