#!/usr/bin/env bats
# Where the kernel writes no core, the demo's core is taken by gdb, and that is said.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  export CRASH_ALONE=1
  "$SOURCE_DIR/tools/build-program" 1.27 article normal "$DIR"
}

explained() { # the core that tools/crash left is explained, with the fatal error that Go printed
  run "$MAPCRASH" explain --json "$DIR/core"
  echo "$status"
  [ "$status" -le 1 ]
  [ "fatal error: $(jq -r .message <<<"$output")" = "$(grep -m1 '^fatal error: ' "$DIR/stderr")" ]
  jq -e '.cause == "race" and .map.type == "map[int]int" and any(.accesses[]; .role == "detector")' <<<"$output"
}

@test "a limit of 0 for cores is no obstacle" {
  run --separate-stderr bash -c 'ulimit -Hc 0 && "$SOURCE_DIR/tools/crash" "$DIR/article" "$DIR" 30'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [[ "$stderr" == *"the limit for core files is 0"*"gdb takes the core"* ]]
  explained
}

@test "a core_pattern that is a pipe is no obstacle" {
  unshare -m true 2>/dev/null || skip "no mount namespace may be made here: the pattern cannot be another one"
  # What a program behind the pipe does with a core is its affair: it may as well drop it.
  echo '|/bin/false' >"$DIR/pattern"
  run --separate-stderr unshare -m bash -c \
    'mount --bind "$DIR/pattern" /proc/sys/kernel/core_pattern && "$SOURCE_DIR/tools/crash" "$DIR/article" "$DIR" 30'
  echo "$output $stderr"
  [ "$status" -eq 0 ]
  [[ "$stderr" == *'kernel.core_pattern is "|/bin/false"'*"gdb takes the core"* ]]
  explained
}
