#!/usr/bin/env bats
# Programs that mapcrash patch made record by themselves.

bats_require_minimum_version 1.5.0

BUILDS="1.19/normal 1.19/cgo 1.22/cgopie 1.23/stripped 1.26/pie 1.27/normal 1.27/cgo"

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  for build in $BUILDS; do
    "$SOURCE_DIR/tools/build-program" "${build%/*}" structfield "${build#*/}" "$DIR/$build" >/dev/null
    "$MAPCRASH" patch "$DIR/$build/structfield" "$DIR/$build/patched" 2>"$DIR/$build/said"
  done
}

teardown() {
  if [ -n "${pid-}" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
}

crash() { # PROGRAM: leaves a core in $DIR/crash
  "$SOURCE_DIR/tools/crash" "$1" "$DIR/crash" 20 >&2
}

is_proven() { # FILE with a report
  cat "$1"
  grep -q "^verdict   proven" "$1"
  grep -q "^detector  goroutine " "$1"
  grep -q "^other     goroutine " "$1"
}

@test "the core of a patched program proves the race, whatever way it was linked" {
  # now and then the other write is over before the table stands still: then one more crash is asked
  for build in $BUILDS; do
    echo "$build"
    for try in 1 2 3 4 5; do
      crash "$DIR/$build/patched"
      "$MAPCRASH" explain "$DIR/crash/core" >"$DIR/report"
      ! grep -q "^verdict   proven" "$DIR/report" || break
    done
    is_proven "$DIR/report"
    # the program that it was made of has the same build id, and explains as well
    "$MAPCRASH" explain --exe "$DIR/$build/structfield" "$DIR/crash/core" >"$DIR/report"
    is_proven "$DIR/report"
  done
}

@test "one line says how many places are recorded and how to go on" {
  for build in $BUILDS; do
    [ "$(wc -l <"$DIR/$build/said")" -eq 1 ]
    grep -qE '^mapcrash: [1-9][0-9]* places .*GOTRACEBACK=crash.*mapcrash explain' "$DIR/$build/said"
  done
}

@test "readelf finds nothing to complain of, and the build ids stay" {
  for build in $BUILDS; do
    readelf -lSnW "$DIR/$build/patched" >"$DIR/after" 2>"$DIR/warnings"
    cat "$DIR/warnings"
    [ ! -s "$DIR/warnings" ]
    readelf -nW "$DIR/$build/structfield" >"$DIR/notes" 2>/dev/null
    readelf -nW "$DIR/$build/patched" 2>/dev/null | diff "$DIR/notes" -
  done
}

@test "a patched program that strip was let loose on still records" {
  for build in 1.27/normal 1.27/cgo; do
    strip -o "$DIR/lean" "$DIR/$build/patched"
    for try in 1 2 3 4 5; do
      crash "$DIR/lean"
      "$MAPCRASH" explain "$DIR/crash/core" >"$DIR/report"
      ! grep -q "^verdict   proven" "$DIR/report" || break
    done
    is_proven "$DIR/report"
  done
}

@test "the code of a patched program is shown as it was compiled" {
  for build in 1.19/normal 1.27/cgo; do
    "$MAPCRASH" code "$DIR/$build/structfield" | grep -v structfield >"$DIR/before"
    "$MAPCRASH" code "$DIR/$build/patched" | grep -v patched | diff "$DIR/before" -
  done
}

@test "a patched program does what it did before" {
  for version in 1.19 1.27; do
    "$SOURCE_DIR/tools/build-program" "$version" "$SOURCE_DIR/tests/live/checked" cgo "$DIR/$version" >/dev/null
    for option in "" --no-tsc; do
      "$MAPCRASH" patch $option "$DIR/$version/checked" "$DIR/checked"
      rm -f "$DIR/output"
      GOGC=5 "$DIR/checked" >"$DIR/output" 2>&1 3>&- &
      pid=$!
      until grep -qs ready "$DIR/output"; do sleep 0.02; done
      sleep 1
      kill -TERM "$pid"
      wait "$pid"
      pid=
      grep -q '^ok ' "$DIR/output"
    done
  done
}

@test "permissions are those of the original, and nothing else is left behind" {
  mkdir -p "$DIR/modes"
  cp "$DIR/1.27/normal/structfield" "$DIR/modes/in"
  chmod 750 "$DIR/modes/in"
  "$MAPCRASH" patch "$DIR/modes/in" "$DIR/modes/out"
  [ "$(stat -c %a "$DIR/modes/out")" = 750 ]
  # a second time: the old copy makes way for the new one
  "$MAPCRASH" patch "$DIR/modes/in" "$DIR/modes/out"
  cmp "$DIR/modes/in" "$DIR/1.27/normal/structfield"
  [ "$(ls -A "$DIR/modes")" = "$(printf 'in\nout')" ]
}

@test "what cannot be patched is refused in one line, and leaves no file" {
  "$SOURCE_DIR/tools/build-program" 1.26 healthylocks arm64 "$DIR/arm64" >/dev/null
  cp "$DIR/1.27/normal/structfield" "$DIR/setuid"
  chmod u+s "$DIR/setuid"
  refused() { # PATTERN IN [OUT]
    rm -rf "$DIR/refused"
    mkdir "$DIR/refused"
    run --separate-stderr "$MAPCRASH" patch "$2" "${3-$DIR/refused/out}"
    echo "status $status, stderr: $stderr"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *$1* ]]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
    [ -z "$(ls -A "$DIR/refused")" ]
  }
  refused "patched already" "$DIR/1.27/normal/patched"
  refused "patched already" "$DIR/1.27/cgo/patched"
  refused "setuid" "$DIR/setuid"
  refused "arm64" "$DIR/arm64/healthylocks"
  refused "no Go" /bin/sh
  refused "not an ELF file" "$SOURCE_DIR/README.md"
  refused "No such file" "$DIR/nowhere"
  refused "program itself" "$DIR/1.27/normal/structfield" "$DIR/1.27/normal/structfield"
  refused "No such file" "$DIR/1.27/normal/structfield" "$DIR/refused/none/out"
  ln "$DIR/1.27/normal/structfield" "$DIR/link"
  refused "program itself" "$DIR/1.27/normal/structfield" "$DIR/link"
  rm "$DIR/link"
}

@test "run and attach refuse a program that records by itself" {
  run --separate-stderr "$MAPCRASH" run -- "$DIR/1.27/cgo/patched"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"records by itself"* ]]
  [ "$(wc -l <<<"$stderr")" -eq 1 ]
  "$SOURCE_DIR/tools/build-program" 1.27 "$SOURCE_DIR/tests/live/checked" normal "$DIR/attach" >/dev/null
  "$MAPCRASH" patch "$DIR/attach/checked" "$DIR/attach/patched"
  "$DIR/attach/patched" >"$DIR/attach/output" 2>&1 3>&- &
  pid=$!
  until grep -qs ready "$DIR/attach/output"; do sleep 0.02; done
  run --separate-stderr "$MAPCRASH" attach "$pid"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"records by itself"* ]]
  kill -TERM "$pid"
  wait "$pid"
  pid=
}
