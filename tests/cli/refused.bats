#!/usr/bin/env bats
# What the recorder does not touch: each refusal made for real. One clear line, status 2, and the program is not run,
# or runs on as it did.

bats_require_minimum_version 1.5.0

setup_file() {
  # Others than we must be able to reach it.
  DIR=$(mktemp -d)
  export DIR
  chmod 755 "$DIR"
  cp "$MAPCRASH" "$DIR/mapcrash"
  for program in structfield healthylocks; do
    "$SOURCE_DIR/tools/build-program" 1.26 $program normal "$DIR" >/dev/null
  done
  gcc -Wall -Wextra -Werror -o "$DIR/without" "$SOURCE_DIR/tests/cli/without.c"
}

teardown_file() { rm -rf "$DIR"; }

teardown() {
  if [ -n "${pid-}" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
}

site() { # KIND FUNCTION [EXECUTABLE]: "ADDRESS FILE_OFFSET BYTES" of the instructions of its first site of that kind
  "$DIR/mapcrash" code --json "${3-$DIR/structfield}" "$2" | python3 -c '
import json, sys
function = json.load(sys.stdin)["functions"][0]
site = next(s for s in function["sites"] if s["kind"] == sys.argv[1])
run, end = int(site["run"], 16), int(site["end"], 16)
print(run, run - int(function["address"], 16) + function["file_offset"], end - run)' "$1"
}

says() { # WORDS: the last run was a refusal in one line with these words, and nothing of the program was seen
  echo "status $status: $stderr"
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [[ "$stderr" == "mapcrash: "*"$1"* ]]
  [ "$(wc -l <<<"$stderr")" -eq 1 ]
}

not_run() { # WORDS COMMAND...: mapcrash run refuses it
  local words=$1
  shift
  run --separate-stderr "$DIR/mapcrash" run -- "$@"
  says "$words"
}

start() { # COMMAND...: runs it until it says that it is ready; sets pid
  rm -f "$DIR/output"
  "$@" >"$DIR/output" 2>&1 3>&- &
  pid=$!
  until grep -qs ready "$DIR/output"; do sleep 0.02; done
}

untouched() { # its code is what its file has: the next attach finds nothing to complain of
  "$DIR/mapcrash" attach --duration 0 "$pid" 2>"$DIR/attach" || { cat "$DIR/attach"; false; }
  grep -q detached "$DIR/attach"
}

@test "a program that would lose its rights" {
  cp "$DIR/structfield" "$DIR/setgid"
  chmod g+s "$DIR/setgid"
  not_run "a setuid or setgid program would run without its rights" "$DIR/setgid"
  cp "$DIR/structfield" "$DIR/capable"
  setcap cap_net_raw+ep "$DIR/capable" || skip "no file capabilities here: be root, on a file system that has them"
  not_run "a program with file capabilities would run without them" "$DIR/capable"
}

@test "a version of Go that is not known" {
  for version in 18 99; do
    sed "s/go1\.26/go1.$version/g" "$DIR/structfield" >"$DIR/other"
    chmod +x "$DIR/other"
    not_run "the program is built by go1.$version." "$DIR/other"
    [[ "$stderr" == *"only Go 1.19 to 1.27 can be recorded" ]]
  done
}

@test "code that is not as it should be" {
  local where
  where=($(site set mapassign_faststr))
  cp "$DIR/structfield" "$DIR/changed"
  # nops in the place of the load, xor and store
  head -c "${where[2]}" /dev/zero | tr '\0' '\220' |
    dd of="$DIR/changed" bs=1 seek="${where[1]}" conv=notrunc status=none
  not_run "the code of runtime.mapassign_faststr is not as expected (" "$DIR/changed"
  [[ "$stderr" == *"): nothing was changed" ]]
}

@test "a running program with a breakpoint in that code, which stays as it is" {
  local where
  start "$DIR/healthylocks"
  # a call of fatal is never run in a program without races
  where=($(site fatal mapassign_faststr "$DIR/healthylocks"))
  printf '\xcc' | dd of="/proc/$pid/mem" bs=1 seek="${where[0]}" conv=notrunc status=none
  run --separate-stderr "$DIR/mapcrash" attach --duration 0 "$pid"
  says "is not what the program's file has (a breakpoint?): nothing was changed"
  printf '\xe8' | dd of="/proc/$pid/mem" bs=1 seek="${where[0]}" conv=notrunc status=none
  untouched
}

@test "what is no Go program, or is one for another machine" {
  printf 'int main(void) { return 0; }' >"$DIR/c.c"
  gcc -static -o "$DIR/static" "$DIR/c.c" || gcc -o "$DIR/static" "$DIR/c.c"
  not_run "$DIR/static: not a Go program" "$DIR/static"
  printf '#!/bin/sh\nexit 0\n' >"$DIR/script"
  chmod +x "$DIR/script"
  not_run "sh: not a Go program" "$DIR/script"
  mkdir -p "$DIR/arm64"
  "$SOURCE_DIR/tools/build-program" 1.26 healthylocks arm64 "$DIR/arm64" >/dev/null
  run --separate-stderr "$DIR/mapcrash" run -- "$DIR/arm64/healthylocks"
  # the kernel runs it by an emulator where it knows one
  if [[ "$stderr" == *"Exec format error"* ]]; then says "arm64/healthylocks: Exec format error"; else says "qemu"; fi
  if command -v qemu-aarch64 >/dev/null; then
    start qemu-aarch64 "$DIR/arm64/healthylocks"
    run --separate-stderr "$DIR/mapcrash" attach --duration 0 "$pid"
    says "not a Go program"
  fi
}

@test "a seccomp filter that forbids us to trace" {
  # A sanitizer's own search for leaks traces, too.
  export ASAN_OPTIONS=detect_leaks=0:${ASAN_OPTIONS:-}
  run --separate-stderr "$DIR/without" ptrace "$DIR/mapcrash" run -- "$DIR/structfield"
  says "may not be traced (kernel.yama.ptrace_scope, a seccomp filter"
  start "$DIR/healthylocks"
  run --separate-stderr "$DIR/without" ptrace "$DIR/mapcrash" attach "$pid"
  says "may not be traced"
  untouched
}

reads_filters() { # whether we may: seccomp(2) leaves that to CAP_SYS_ADMIN (bit 21), under no filter
  grep -q '^Seccomp:.*0' /proc/self/status &&
    [ $((0x$(sed -n 's/^CapEff:\s*//p' /proc/self/status) >> 21 & 1)) -eq 1 ]
}

attach() { # ARGS...: a recorder in the process, and off again
  run --separate-stderr "$DIR/mapcrash" attach --duration 0 "$@" "$pid"
  echo "status $status: $stderr"
  [ "$status" -eq 0 ]
  [[ "$stderr" == *detached* ]]
}

@test "a seccomp filter, ours too, that forbids the program what is needed, or kills for it" {
  run --separate-stderr "$DIR/without" memfd_create "$DIR/mapcrash" run -- "$DIR/structfield"
  says "the process may not call memfd_create: its seccomp filter, which is ours too, forbids it"
  run --separate-stderr "$DIR/without" kill:memfd_create "$DIR/mapcrash" run -- "$DIR/structfield"
  says "the process may not call memfd_create: its seccomp filter, which is ours too, kills for it"
  start "$DIR/without" memfd_create "$DIR/healthylocks"
  run --separate-stderr "$DIR/without" memfd_create "$DIR/mapcrash" attach "$pid"
  says "the process may not call memfd_create: its seccomp filter, which is ours too, forbids it"
  kill -0 "$pid"
}

@test "a seccomp filter of the program that forbids what is needed, or kills for it" {
  reads_filters || skip "filters cannot be read here: be root, outside of containers"
  start "$DIR/without" memfd_create "$DIR/healthylocks"
  run --separate-stderr "$DIR/mapcrash" attach "$pid"
  says "the process may not call memfd_create: its seccomp filter forbids it; nothing was changed"
  kill -0 "$pid"
  kill -KILL "$pid"
  start "$DIR/without" kill:memfd_create "$DIR/healthylocks"
  run --separate-stderr "$DIR/mapcrash" attach "$pid"
  says "the process may not call memfd_create: its seccomp filter kills for it; nothing was changed"
  kill -0 "$pid"
}

@test "a seccomp filter that forbids holds does not forbid the rest" {
  reads_filters || skip "filters cannot be read here: be root, outside of containers"
  start "$DIR/without" nanosleep "$DIR/healthylocks"
  run --separate-stderr "$DIR/mapcrash" attach --hold 10 "$pid"
  says "the process may not call nanosleep: its seccomp filter forbids it; nothing was changed"
  attach
}

@test "a seccomp filter that is not in the way" {
  reads_filters || skip "filters cannot be read here: be root, outside of containers"
  start "$DIR/without" kill:acct "$DIR/healthylocks"
  attach --hold 10
  kill -KILL "$pid"
  start "$DIR/without" kill:clock_nanosleep "$DIR/healthylocks"
  attach --hold 10
}

@test "a seccomp filter that kills for how the kernel goes on with a sleep that a stop has interrupted" {
  reads_filters || skip "filters cannot be read here: be root, outside of containers"
  start "$DIR/without" kill:restart_syscall "$DIR/healthylocks"
  for _ in 1 2 3 4 5; do
    attach --hold 5
    # 1: a recorder that was there has changed the program's pages
    run "$DIR/mapcrash" goroutines "$pid"
    [ "$status" -le 1 ]
    [[ "$output" == *"main.main "* ]]
    kill -0 "$pid"
  done
}

@test "a seccomp filter that cannot be read is taken for ours where we have as many" {
  start "$DIR/without" kill:acct "$DIR/healthylocks"
  run --separate-stderr "$DIR/without" acct "$DIR/mapcrash" attach --duration 0 "$pid"
  echo "status $status: $stderr"
  [ "$status" -eq 0 ]
  run --separate-stderr "$DIR/without" acct "$DIR/without" acct "$DIR/mapcrash" attach "$pid"
  says "has a seccomp filter that may kill it for what we need, and we may not read"
  kill -0 "$pid"
}

@test "a seccomp filter that forbids hardware breakpoints" {
  local map
  start "$DIR/healthylocks"
  map=$("$DIR/mapcrash" maps "$pid" | grep -o '0x[0-9a-f]*' | head -n 1)
  run --separate-stderr "$DIR/without" perf_event_open "$DIR/mapcrash" watch --duration 1 "$pid" "$map"
  if [ "$(cat /proc/sys/kernel/perf_event_paranoid)" -le 2 ]; then
    says "a seccomp filter, as a container's profile is, has to allow perf_event_open"
  else
    says "set kernel.perf_event_paranoid (now"
  fi
}

@test "another user's process" {
  [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
  start "$DIR/healthylocks"
  run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/mapcrash" attach "$pid"
  says "may not be traced: be its user, root, or have CAP_SYS_PTRACE"
  untouched
}

@test "a process of ours that is no child of ours, under yama" {
  local scope=/proc/sys/kernel/yama/ptrace_scope
  [ -e $scope ] || skip "the kernel has no yama"
  [ "$(cat $scope)" -ne 0 ] || skip "kernel.yama.ptrace_scope is 0"
  [ "$(id -u)" -eq 0 ] || skip "only root can become another user"
  start setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/healthylocks"
  run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/mapcrash" attach "$pid"
  says "kernel.yama.ptrace_scope (now $(cat $scope))"
}

@test "what has ended, was never there, or has no program" {
  run --separate-stderr "$DIR/mapcrash" attach 999999999
  says "no process has the number 999999999"
  # a child whose status nobody has asked for yet
  run --separate-stderr python3 -c '
import os, subprocess, sys
child = os.fork()
if not child:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
sys.exit(subprocess.run([sys.argv[1], "attach", str(child)]).returncode)' "$DIR/mapcrash"
  says "has ended"
  if grep -qs '^Kthread:.*1' /proc/2/status; then
    run --separate-stderr "$DIR/mapcrash" attach 2
    says "process 2 is a kernel thread"
  fi
}

@test "attach says so when the process ends, and that is no failure" {
  start "$DIR/healthylocks"
  rm -f "$DIR/attach"
  "$DIR/mapcrash" attach "$pid" 2>"$DIR/attach" 3>&- &
  ours=$!
  until grep -qs recording "$DIR/attach"; do sleep 0.02; done
  kill -KILL "$pid"
  wait "$ours"
  grep -q "process $pid has ended" "$DIR/attach"
}
