#!/usr/bin/env bats
# What is no core, the wrong core, or half of one: one clear line each, with what to do next, the right exit
# status, and no waiting.

bats_require_minimum_version 1.5.0

setup_file() {
  export DIR="$BATS_FILE_TMPDIR"
  local exe
  exe=$("$SOURCE_DIR/tools/build-program" 1.23 structfield normal "$DIR")
  "$SOURCE_DIR/tools/crash" "$exe" "$DIR" 50
  "$SOURCE_DIR/tools/build-program" 1.26 readwrite normal "$DIR" >/dev/null
  "$MAPCRASH" explain --json "$DIR/core" >"$DIR/whole.json"
}

refused() { # PATTERN COMMAND...: status 2, one line on standard error that matches, none on standard output
  local pattern=$1
  shift
  run --separate-stderr timeout 20 "$@"
  echo "status $status, stdout: $output, stderr: $stderr"
  [ "$status" -eq 2 ]
  [ -z "$output" ]
  [[ "$stderr" == "mapcrash: "$pattern ]]
  [ "$(wc -l <<<"$stderr")" -eq 1 ]
}

# Copies the core to $DIR/damaged and puts words there: OFFSET=VALUE, or @ADDRESS=VALUE of the target.
damage() {
  cp --sparse=always "$DIR/core" "$DIR/damaged"
  python3 - "$DIR/damaged" "$@" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    head = f.read(64)
    phoff, = struct.unpack_from("<Q", head, 32)
    phnum, = struct.unpack_from("<H", head, 56)
    f.seek(phoff)
    phdrs = [struct.unpack_from("<IIQQQQQQ", f.read(56)) for _ in range(phnum)]
    for change in sys.argv[2:]:
        where, _, value = change.partition("=")
        if where[0] == "@":
            addr = int(where[1:], 16)
            at, = (p[2] + addr - p[3] for p in phdrs if p[0] == 1 and p[3] <= addr < p[3] + p[5])
        else:
            at = int(where, 0)
        f.seek(at)
        f.write(struct.pack("<Q", int(value, 0)) if not value.startswith("b:") else bytes.fromhex(value[2:]))
PYTHON
}

address() { nm "$DIR/structfield" | awk -v "name=$1" '$3 == name { print $1 }'; }

# Runs COMMAND with 3 GB of addresses. A sanitizer needs more for itself: then it is what sees a huge allocation.
limited() {
  if (ulimit -v 3000000 && "$MAPCRASH" --version >/dev/null 2>&1); then
    (ulimit -v 3000000 && exec timeout 20 "$@")
  else
    timeout 20 "$@"
  fi
}

same_verdict() { # FILE: its detector and map are those of the whole core
  jq -e --slurpfile whole "$DIR/whole.json" '
    (.accesses | map(select(.role == "detector") | {goroutine, site})) ==
    ($whole[0].accesses | map(select(.role == "detector") | {goroutine, site})) and
    .map.address == $whole[0].map.address' "$1"
}

@test "what is no file is told by what it is" {
  mkfifo "$DIR/fifo"
  refused "$DIR/none: No such file or directory" "$MAPCRASH" explain "$DIR/none"
  refused "$DIR is a directory: name a file in it" "$MAPCRASH" explain "$DIR"
  refused "$DIR/fifo is a FIFO: write what comes out of it to a file, and name that" "$MAPCRASH" maps "$DIR/fifo"
  refused "$DIR/fifo: there is no traceback of Go's in it*" "$MAPCRASH" explain "$DIR/fifo"
  refused "/dev/null is a device, not a file" "$MAPCRASH" explain /dev/null
  refused "/dev/zero is a device, not a file" "$MAPCRASH" goroutines /dev/zero
  refused "no process has the number 999999999" "$MAPCRASH" explain 999999999
}

@test "an empty file is told, and what may have emptied it" {
  : >"$DIR/empty"
  refused "$DIR/empty is empty: *ulimit -c*" "$MAPCRASH" explain "$DIR/empty"
}

@test "what is no core is told by what it is" {
  head -c 5000 /dev/urandom >"$DIR/noise"
  printf '\0' | dd of="$DIR/noise" conv=notrunc status=none
  refused "$DIR/noise: not an ELF file" "$MAPCRASH" explain "$DIR/noise"
  head -c 5000 /dev/zero >"$DIR/zeros"
  refused "$DIR/zeros: not an ELF file" "$MAPCRASH" explain "$DIR/zeros"
  refused "*is an executable, which has not run: name a core of it, or a PID" "$MAPCRASH" explain "$DIR/structfield"
  refused "*is an executable, which has not run: name a core of it, or a PID" "$MAPCRASH" maps "$DIR/structfield"
  echo 'int main(void) { __builtin_trap(); }' >"$DIR/trap.c"
  gcc -c -o "$DIR/trap.o" "$DIR/trap.c"
  refused "*trap.o: a relocatable object, not an executable" "$MAPCRASH" explain "$DIR/trap.o"
  gzip -c "$DIR/empty" >"$DIR/core.gz"
  refused "$DIR/core.gz: gzip data: decompress it first" "$MAPCRASH" explain "$DIR/core.gz"
}

@test "a program that is not Go's is told" {
  gcc -o "$DIR/trap" "$DIR/trap.c"
  refused "$DIR/trap: not a Go program: it names no Go version" "$MAPCRASH" explain "$DIR/trap"
  mkdir -p "$DIR/c"
  gdb -nx -batch -ex run -ex "generate-core-file $DIR/c/core" "$DIR/trap" </dev/null >/dev/null 2>&1
  refused "$DIR/c/core: not a Go program: it names no Go version" "$MAPCRASH" explain "$DIR/c/core"
}

@test "other machines are told" {
  damage 18=b:f300
  refused "*for another machine (e_machine 243): only amd64 and arm64 are read" "$MAPCRASH" explain "$DIR/damaged"
  damage 4=b:01
  refused "*a 32-bit ELF file: only 64-bit amd64 and arm64 are read" "$MAPCRASH" explain "$DIR/damaged"
  damage 5=b:02
  refused "*a big-endian ELF file: only amd64 and arm64 are read" "$MAPCRASH" explain "$DIR/damaged"
  cp "$DIR/structfield" "$DIR/arm64"
  printf '\267' | dd of="$DIR/arm64" bs=1 seek=18 conv=notrunc status=none
  refused "$DIR/arm64 is for another machine than the target" "$MAPCRASH" explain --exe "$DIR/arm64" "$DIR/core"
}

@test "a wrong executable is refused, with both build ids and what to do" {
  refused "$DIR/readwrite is another program: its Go build id is *, that of the target *: name the right one with --exe" \
    "$MAPCRASH" explain --exe "$DIR/readwrite" "$DIR/core"
  refused "$DIR/trap is another program: its segments differ from the target's: name the right one with --exe" \
    "$MAPCRASH" explain --exe "$DIR/trap" "$DIR/core"
  refused "$DIR/core: a core, not an executable" "$MAPCRASH" explain --exe "$DIR/core" "$DIR/core"
  refused "$DIR/none: No such file or directory" "$MAPCRASH" explain --exe "$DIR/none" "$DIR/core"
}

@test "an executable that was replaced where the core names it is refused" {
  mv "$DIR/structfield" "$DIR/moved"
  cp "$DIR/readwrite" "$DIR/structfield"
  refused "$DIR/structfield is another program: *: name the right one with --exe" "$MAPCRASH" explain "$DIR/core"
  rm "$DIR/structfield"
  mkfifo "$DIR/structfield"
  run --separate-stderr timeout 20 "$MAPCRASH" explain "$DIR/core"
  rm "$DIR/structfield"
  mv "$DIR/moved" "$DIR/structfield"
  [ "$status" -eq 2 ]
  [[ "$stderr" == *"--exe FILE"*"is a FIFO"* ]]
}

@test "a core whose headers are zeroed is refused" {
  damage "0=b:$(printf '00%.0s' {1..64})"
  refused "$DIR/damaged: not an ELF file" "$MAPCRASH" explain "$DIR/damaged"
  damage "8=b:$(printf '00%.0s' {1..56})"
  refused "$DIR/damaged: *" "$MAPCRASH" explain "$DIR/damaged"
  count=$(od -An -tu2 -j56 -N2 "$DIR/core")
  damage "64=b:$(head -c $((56 * count)) /dev/zero | od -An -v -tx1 | tr -d ' \n')"
  refused "$DIR/damaged: a core of *" "$MAPCRASH" explain "$DIR/damaged"
}

@test "huge counts cost neither time nor memory" {
  local allglen allgs notes
  # So many segments as there cannot be, and the number of them nowhere.
  damage 56=b:ffff
  run limited "$MAPCRASH" explain "$DIR/damaged"
  echo "$status $output"
  [ "$status" -le 2 ]
  # A note of 4 GB.
  notes=$(od -An -tu8 -j72 -N8 "$DIR/core" | tr -d ' ')
  damage $((notes + 4))=b:ffffffff
  run limited "$MAPCRASH" explain "$DIR/damaged"
  echo "$status $output"
  [ "$status" -eq 1 ] || [ "$status" -eq 2 ]
  # 2^60 goroutines. They are found elsewhere, or it is said that they are not.
  allglen=$(address runtime.allglen) allgs=$(address runtime.allgs)
  damage "@$allglen=0x1000000000000000" "@$(printf %x $((0x$allgs + 8)))=0x1000000000000000" \
    "@$(printf %x $((0x$allgs + 16)))=0x1000000000000000"
  run limited "$MAPCRASH" explain "$DIR/damaged"
  echo "$status $output"
  [ "$status" -eq 1 ]
  [[ "$output" == *"goroutines"* ]]
  # 2^60 entries.
  local map
  map=$(jq -r .map.address "$DIR/whole.json")
  damage "@${map#0x}=0x1000000000000000"
  run limited "$MAPCRASH" map --check "$DIR/damaged" "$map"
  echo "$status ${lines[0]}"
  [ "$status" -le 1 ]
  [[ "$output" == *"count"* ]]
}

@test "lists that bite their tails end" {
  local map buckets allm first alllink
  # Go's list of threads: runtime.m.alllink of the first m points to itself.
  allm=$(address runtime.allm)
  first=$(gdb -nx -batch -ex "x/1gx 0x$allm" "$DIR/structfield" "$DIR/core" 2>/dev/null |
    sed -n 's/^0x[0-9a-f]* *[^:]*:[[:space:]]*//p' | tail -1)
  alllink=$("$MAPCRASH" layout --json "$DIR/structfield" |
    jq '.structs[] | select(.name == "runtime.m") | .fields[] | select(.name == "alllink") | .offset')
  [ "$alllink" -gt 0 ]
  damage "@$(printf %x $((first + alllink)))=$first"
  run timeout 20 "$MAPCRASH" explain --json "$DIR/damaged"
  [ "$status" -le 1 ]
  # A bucket whose overflow bucket is itself: map[uint32]string has its pointer behind 8 + 8*4 + 8*16 bytes.
  map=$(jq -r .map.address "$DIR/whole.json")
  buckets=$(gdb -nx -batch -ex "x/1gx $map + 16" "$DIR/structfield" "$DIR/core" 2>/dev/null |
    sed -n 's/^0x[0-9a-f]*:[[:space:]]*//p' | tail -1)
  damage "@$(printf %x $((buckets + 168)))=$buckets"
  run timeout 20 "$MAPCRASH" map --check "$DIR/damaged" "$map"
  echo "$status ${lines[*]:0:12}"
  [ "$status" -le 1 ]
  [[ "$output" == *"chain"* ]]
}

@test "a core far larger than memory is explained in a second, in little memory" {
  local last
  cp --sparse=always "$DIR/core" "$DIR/large"
  truncate -s 6T "$DIR/large" || skip "no file of 6 TB can be made here"
  # The one before the last, the first stack, claims to be 5 TB long.
  last=$((64 + 56 * ($(od -An -tu2 -j56 -N2 "$DIR/core") - 2)))
  python3 - "$DIR/large" "$last" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]) + 32)
    f.write(struct.pack("<QQ", 5 << 40, 5 << 40))
PYTHON
  limited "$MAPCRASH" explain --json "$DIR/large" >"$DIR/large.json"
  rm "$DIR/large"
  same_verdict "$DIR/large.json"
}

@test "a cut core still names its detector, wherever its stack is in what is left" {
  "$SOURCE_DIR/tests/faults/damage" "$MAPCRASH" "$DIR/core" --cuts 5 goroutines
}

@test "damaged cores end no run by a signal, in silence, or never" {
  "$SOURCE_DIR/tests/faults/damage" "$MAPCRASH" "$DIR/core" --flips 12 goroutines
}
