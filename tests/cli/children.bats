#!/usr/bin/env bats
# run --children: commands whose Go programs run under the recorder.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  # Whether goroutines meet, and leave a proof of it, is a matter of chance.
  export BATS_TEST_RETRIES=2
  export OLD="$DIR/1.23/structfield" NEW="$DIR/1.27/structfield"
  "$SOURCE_DIR/tools/build-program" 1.23 structfield stripped "$DIR/1.23" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.27 structfield normal "$DIR/1.27" >/dev/null
  "$SOURCE_DIR/tools/build-program" 1.27 "$SOURCE_DIR/tests/live/checked" normal "$DIR" >/dev/null
}

teardown() {
  for pid in ${pids-}; do kill -KILL "$pid" 2>/dev/null || true; done
}

recorded() { # ARGS...: runs them with --children, keeping what is printed in $DIR/stdout and $DIR/stderr; sets status
  status=0
  "$MAPCRASH" run --children "$@" >"$DIR/stdout" 2>"$DIR/stderr" || status=$?
  echo "status $status"
  cat "$DIR/stdout" "$DIR/stderr"
}

@test "two racing programs of a shell are explained, each by number and command line" {
  recorded -- sh -c '"$0" one & "$1" two; wait; exit 7' "$OLD" "$NEW"
  [ "$status" -eq 7 ]
  [ "$(grep -c '^mapcrash: process [0-9]*, ' "$DIR/stderr")" -eq 2 ]
  grep -q "^mapcrash: process [0-9]*, $OLD one\$" "$DIR/stderr"
  grep -q "^mapcrash: process [0-9]*, $NEW two\$" "$DIR/stderr"
  [ "$(grep -c '^verdict   ' "$DIR/stderr")" -eq 2 ]
  [ "$(grep -c '^detector  goroutine ' "$DIR/stderr")" -eq 2 ]
}

@test "with --json there is one report after another, and each fits its schema" {
  recorded --json -- sh -c '"$0"; "$1"; true' "$OLD" "$NEW"
  [ "$status" -eq 0 ]
  python3 - "$DIR/stdout" "$SOURCE_DIR/docs/report.schema.json" "$OLD" "$NEW" <<'PYTHON'
import json, sys, jsonschema
text, reports = open(sys.argv[1]).read(), []
while text.strip():
    report, end = json.JSONDecoder().raw_decode(text.lstrip())
    text = text.lstrip()[end:]
    jsonschema.validate(report, json.load(open(sys.argv[2])))
    reports.append(report)
assert [report["executable"]["path"] for report in reports] == sys.argv[3:], reports
assert all(report["cause"] == "race" for report in reports)
PYTHON
  recorded --output "$DIR/file" -- sh -c '"$0"; "$1"; true' "$OLD" "$NEW"
  [ "$(grep -c '^verdict   ' "$DIR/file")" -eq 2 ]
  ! grep -q '^verdict' "$DIR/stderr"
}

@test "go test ends as without us, and the race of a test is explained" {
  cd "$SOURCE_DIR/tests/live"
  for version in 1.19 1.26; do
    recorded -- "$SOURCE_DIR/tools/go" $version test -count=1 ./gotest/...
    [ "$status" -eq 1 ]
    grep -q '^ok .*live/gotest/sound' "$DIR/stdout"
    grep -q '^FAIL.*live/gotest/racing' "$DIR/stdout"
    [ "$(grep -c '^mapcrash: process ' "$DIR/stderr")" -eq 1 ]
    grep -q '^mapcrash: process [0-9]*, .*/racing.test ' "$DIR/stderr"
    grep -q 'live/gotest/racing.Count .*/racing.go:7' "$DIR/stderr"
  done
}

@test "Go's own tools are not recorded" {
  cd "$SOURCE_DIR/tests/live"
  recorded -- "$SOURCE_DIR/tools/go" 1.26 vet ./gotest/...
  [ "$status" -eq 0 ]
  [ "$(cat "$DIR/stderr")" = "mapcrash: the command started no Go program that could be recorded" ]
}

@test "standard input, pipes, stops and signals are the command's own" {
  status=0
  echo "a line" | "$MAPCRASH" run --children -- sh -c 'tr a b | sed s/$/!/' >"$DIR/stdout" 2>/dev/null
  [ "$(cat "$DIR/stdout")" = "b line!" ]
  # stopped it does not write; continued it does
  recorded -- bash -c '(kill -STOP $BASHPID; echo continued) & until grep -q "^State:.[Tt]" /proc/$!/status; do :; done
    kill -CONT $!; wait $!; echo $?'
  [ "$(tail -2 "$DIR/stdout")" = "$(printf 'continued\n0')" ]
  recorded -- bash -c 'trap "echo trapped" USR1; kill -USR1 $$; kill -TERM $$'
  [ "$status" -eq 143 ]
  grep -q trapped "$DIR/stdout"
}

@test "a signal that is sent to us reaches the command" {
  rm -f "$DIR/stdout"
  "$MAPCRASH" run --children -- bash -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done' \
    >"$DIR/stdout" 2>/dev/null 3>&- &
  pids=$!
  until grep -qs ready "$DIR/stdout"; do sleep 0.05; done
  kill -TERM "$pids"
  status=0
  wait "$pids" || status=$?
  [ "$status" -eq 5 ]
}

@test "what a command leaves running runs on, recorded or not, when it or we end" {
  for how in end kill; do
    local work="$DIR/$how"
    mkdir -p "$work"
    local hold='until [ -e over ]; do sleep 0.1; done'
    [ $how = kill ] || hold=
    # its own folder is the work folder; the last of its commands tells when all runs
    (cd "$work" && exec "$MAPCRASH" run --children -- bash -c '"$0" >checked 2>&1 & a=$!
      bash -c "until [ -e over ]; do sleep 0.1; done; echo over >other" & echo "$a $!" >pids.new
      until grep -qs ready checked; do sleep 0.05; done
      mv pids.new pids; '"$hold" "$DIR/checked") >/dev/null 2>&1 3>&- &
    local ours=$!
    until [ -s "$work/pids" ]; do sleep 0.05; done
    pids="$(cat "$work/pids") $ours"
    [ $how = end ] || kill -KILL "$ours"
    wait "$ours" || true
    touch "$work/over"
    until grep -qs over "$work/other"; do sleep 0.05; done
    kill -TERM "${pids%% *}"
    until grep -qs '^ok ' "$work/checked"; do sleep 0.05; done
  done
  pids=
}

@test "a Go program that cannot be recorded runs, and that is said" {
  "$MAPCRASH" patch "$NEW" "$DIR/patched"
  recorded -- sh -c '"$0"; echo "ended with $?"' "$DIR/patched"
  grep -q "ended with 2" "$DIR/stdout"
  grep -q "^mapcrash: process [0-9]*, $DIR/patched: .*records by itself" "$DIR/stderr"
  ! grep -q '^verdict' "$DIR/stderr"
}

@test "what cannot be done is refused in one line" {
  recorded --report-only -- true
  [ "$status" -eq 64 ]
  [ "$(wc -l <"$DIR/stderr")" -eq 1 ]
  recorded -- "$DIR/nowhere"
  [ "$status" -eq 2 ]
  [ "$(wc -l <"$DIR/stderr")" -eq 1 ]
}
