#!/usr/bin/env bats
# explain on what Go printed.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  export CRASH_ALONE=1
  # Two goroutines on one map, as Go 1.23 prints them with GOTRACEBACK=system; paths and lines made up.
  cat >"$DIR/log" <<'LOG'
starting
fatal error: concurrent map read and map write

goroutine 1 gp=0xc0000061c0 m=0 mp=0x51f9a0 [running]:
runtime.fatal({0x495fef?, 0x4767c5?})
	/usr/lib/go-1.23/src/runtime/panic.go:1088 +0x48 fp=0xc0000aaef0 sp=0xc0000aaec0 pc=0x430f08
runtime.mapaccess2_fast32(0x481440, 0xc0000b0090, 0x1e7)
	/usr/lib/go-1.23/src/runtime/map_fast32.go:71 +0x4d fp=0xc0000aaf10 sp=0xc0000aaef0 pc=0x4617ad
main.(*directory).known(...)
	/src/app/main.go:25
main.main()
	/src/app/main.go:39 +0x11f fp=0xc0000aaf50 sp=0xc0000aaf10 pc=0x4767ff

goroutine 18 gp=0xc0000801c0 m=nil [runnable]:
runtime.growWork_fast32(0x481440, 0xc0000b0090, 0x3)
	/usr/lib/go-1.23/src/runtime/map_fast32.go:392 +0x20 fp=0xc00003ef80 sp=0xc00003ef60 pc=0x462214
runtime.mapassign_fast32(0x481440, 0xc0000b0090, 0x2a)
	/usr/lib/go-1.23/src/runtime/map_fast32.go:125 +0x94 fp=0xc00003efc8 sp=0xc00003ef80 pc=0x461974
main.(*directory).rename(...)
	/src/app/main.go:20
main.main.func2()
	/src/app/main.go:35 +0x5f fp=0xc00003efe0 sp=0xc00003efc8 pc=0x47689f
created by main.main in goroutine 1
	/src/app/main.go:33 +0xe5
exit status 2
LOG
}

@test "explain names both sides of a text, with keys and lines" {
  run "$MAPCRASH" explain "$DIR/log"
  [ "$status" -eq 0 ]
  [[ "$output" == *"verdict   proven: goroutine 18 is writing this map while goroutine 1 is in it"* ]]
  [[ "$output" == *"goroutine 1 [running]: read key 0x1e7"* ]]
  [[ "$output" == *"/src/app/main.go:25"* ]]
  [[ "$output" == *"goroutine 18 [runnable]: assign key 0x2a"* ]]
  [[ "$output" == *"at 0xc0000b0090"* ]]
}

@test "a text from standard input or a pipe says the same" {
  want=$("$MAPCRASH" explain "$DIR/log" | tail -n +3)
  [ "$("$MAPCRASH" explain - <"$DIR/log" | tail -n +3)" = "$want" ]
  [ "$(cat "$DIR/log" | "$MAPCRASH" explain - | tail -n +3)" = "$want" ]
  [ "$("$MAPCRASH" explain <(cat "$DIR/log") | tail -n +3)" = "$want" ]
}

@test "the JSON of a text fits the schema" {
  "$MAPCRASH" explain --json "$DIR/log" >"$DIR/report.json"
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
    "$DIR/report.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "an uncertain argument proves nothing" {
  sed 's/mapassign_fast32(0x481440, 0xc0000b0090/mapassign_fast32(0x481440?, 0xc0000b0090?/; /growWork/,+1d' \
    "$DIR/log" >"$DIR/uncertain"
  run "$MAPCRASH" explain "$DIR/uncertain"
  [[ "$output" == *"verdict   likely"* ]]
  sed 's/0xc0000b0090/0xc0000b0090?/' "$DIR/log" >"$DIR/uncertain"
  run "$MAPCRASH" explain "$DIR/uncertain"
  [[ "$output" != *"verdict   proven"* ]]
  [[ "$output" != *"verdict   likely"* ]]
}

@test "a write of another map is not the other side" {
  sed '/growWork/,/mapassign/s/0xc0000b0090/0xc0000b1234/' "$DIR/log" >"$DIR/another"
  run "$MAPCRASH" explain "$DIR/another"
  [[ "$output" == *"verdict   unknown"* ]]
}

@test "one goroutine alone is told so, with what helps next time" {
  sed '/^goroutine 18/,/^exit/d' "$DIR/log" >"$DIR/alone"
  run "$MAPCRASH" explain "$DIR/alone"
  [ "$status" -eq 1 ]
  [[ "$output" == *"GOTRACEBACK=all"* ]]
  [[ "$output" == *"no other goroutine was printed"* ]]
}

@test "two processes that died one after the other are two crashes, and no race of both" {
  sed '/^goroutine 18/,/^exit/d' "$DIR/log" >"$DIR/two"
  sed -n '/^fatal/,$p' "$DIR/log" | sed 's/^goroutine 1 /goroutine 7 /' |
    sed '/^goroutine 18/,/^exit/d' >>"$DIR/two"
  run "$MAPCRASH" explain "$DIR/two"
  [[ "$output" == *"crash 2 of 2"* ]]
  [[ "$output" == *"verdict   unknown"* ]]
  run "$MAPCRASH" explain --crash 1 "$DIR/two"
  [[ "$output" == *"crash 1 of 2"* ]]
  run "$MAPCRASH" explain --crash 3 "$DIR/two"
  [ "$status" -eq 2 ]
  [[ "$output" == *"no crash number 3"* ]]
}

@test "two threads that die at once are one crash" {
  sed 's/^fatal error: .*/fatal error: fatal error: concurrent map writesconcurrent map writes/;
    s/^goroutine 18 .*/goroutine 18 gp=0xc0000801c0 m=2 mp=0xc000080100 [running]:/;
    s/^runtime.growWork_fast32.*/runtime.fatal({0x495fef?, 0x4767c5?})/' "$DIR/log" >"$DIR/double"
  run "$MAPCRASH" explain "$DIR/double"
  echo "$output"
  [[ "$output" == *"fatal error: concurrent map writes "* ]]
  [[ "$output" == *"lines 2 to 24"* ]]
  [[ "$output" == *"a check of its own has failed"* ]]
  [[ "$output" != *"crash 2 of"* ]]
}

@test "a log beside its core confirms it, and another one is not used" {
  exe=$("$SOURCE_DIR/tools/build-program" 1.23 structfield normal "$DIR")
  "$SOURCE_DIR/tools/crash" "$exe" "$DIR/one" 50
  "$SOURCE_DIR/tools/crash" "$exe" "$DIR/other" 50
  run "$MAPCRASH" explain --log "$DIR/one/stderr" "$DIR/one/core"
  [ "$status" -eq 0 ]
  [[ "$output" == *"tells the same: goroutine "* ]]
  run "$MAPCRASH" explain --log "$DIR/other/stderr" "$DIR/one/core"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"is not used: "* ]]
  [[ "$output" != *"tells the same"* ]]
  run "$MAPCRASH" explain --log "$DIR/none" "$DIR/one/core"
  [ "$status" -eq 2 ]
  # With its stacks cut off, the core has only the message: the log says who it was.
  size=$(stat -c %s "$DIR/one/core")
  head -c $((size / 200)) "$DIR/one/core" >"$DIR/cut"
  run "$MAPCRASH" explain "$DIR/cut"
  [[ "$output" != *"structfield/main.go:25"* ]]
  run "$MAPCRASH" explain --log "$DIR/one/stderr" "$DIR/cut"
  echo "$output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"structfield/main.go:"* ]]
  [[ "$output" == *"the core has lost its stack"* ]]
  "$MAPCRASH" explain --json --log "$DIR/one/stderr" "$DIR/cut" >"$DIR/joined.json" || [ $? -eq 1 ]
  python3 -c '
import json, sys, jsonschema
jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))' \
    "$DIR/joined.json" "$SOURCE_DIR/docs/report.schema.json"
}

@test "a text without a traceback is refused" {
  echo "hello" >"$DIR/hello"
  run --separate-stderr "$MAPCRASH" explain "$DIR/hello"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"no traceback of Go's in it"* ]]
  run --separate-stderr "$MAPCRASH" explain - </dev/null
  [ "$status" -eq 2 ]
}
