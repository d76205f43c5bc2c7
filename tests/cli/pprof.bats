#!/usr/bin/env bats
# mapcrash goroutines --pprof: what go tool pprof reads out of it, against the same goroutines as JSON.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  for version in 1.19 1.27; do
    exe=$("$SOURCE_DIR/tools/build-program" $version goroutines normal "$DIR/$version")
    "$SOURCE_DIR/tools/crash" "$exe" "$DIR/$version" 5
  done
}

@test "goroutines --pprof has each goroutine's stack as go tool pprof shows it" {
  for version in 1.19 1.27; do
    "$MAPCRASH" goroutines --pprof "$DIR/profile.pb.gz" "$DIR/$version/core"
    "$MAPCRASH" goroutines --json "$DIR/$version/core" >"$DIR/goroutines.json"
    "$SOURCE_DIR/tools/go" 1.23 tool pprof -traces "$DIR/profile.pb.gz" >"$DIR/traces"
    python3 - "$DIR/goroutines.json" "$DIR/traces" <<'PYTHON'
import collections, json, re, sys
goroutines = json.load(open(sys.argv[1]))["goroutines"]
ours = collections.Counter(
    (g["state"],) + tuple(f["function"] for f in g["stack"] if f["function"]) for g in goroutines)
theirs = collections.Counter()
for trace in open(sys.argv[2]).read().split("-----------+")[1:]:
    lines = trace.splitlines()[1:]
    if not lines:
        continue
    state = re.fullmatch(r"\s*state:\s+(.*)", lines[0]).group(1)
    count, first = lines[1].split(None, 1)
    names = [first] + [line.strip() for line in lines[2:] if line.strip()]
    theirs[(state, *(name.removesuffix(" (inline)") for name in names))] += int(count)
assert sum(theirs.values()) == len(goroutines) > 10, (sum(theirs.values()), len(goroutines))
assert ours == theirs, (ours - theirs, theirs - ours)
PYTHON
  done
}

@test "go tool pprof -top adds them up" {
  "$MAPCRASH" goroutines --pprof "$DIR/profile.pb.gz" "$DIR/1.27/core"
  count=$("$MAPCRASH" goroutines --json "$DIR/1.27/core" | jq .count)
  run "$SOURCE_DIR/tools/go" 1.23 tool pprof -top "$DIR/profile.pb.gz"
  [ "$status" -eq 0 ]
  [[ "$output" == *"Type: goroutine"* ]]
  [[ "$output" == *"100% of $count total"* ]]
}

@test "goroutines --pprof into a folder that is not there says so" {
  run --separate-stderr "$MAPCRASH" goroutines --pprof /no/such/folder/profile "$DIR/1.27/core"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"/no/such/folder/profile"* ]]
}
