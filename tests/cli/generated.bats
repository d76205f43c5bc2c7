#!/usr/bin/env bats
# The man page and the completion against what --help says.

bats_require_minimum_version 1.5.0

commands() { "$MAPCRASH" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'; }
options() { "$MAPCRASH" "$1" --help | sed -n 's/^  \(-[a-z], \)\?\(--[a-z-]*\) .*/\2/p'; }

@test "the man page has every command and option, and mandoc finds nothing wrong" {
  "$MAPCRASH" help --man | cat "$SOURCE_DIR/man/mapcrash.1.head.scd" - "$SOURCE_DIR/man/mapcrash.1.tail.scd" |
    scdoc >"$BATS_TEST_TMPDIR/mapcrash.1"
  mandoc -T lint -W error "$BATS_TEST_TMPDIR/mapcrash.1"
  mandoc -T ascii "$BATS_TEST_TMPDIR/mapcrash.1" | sed 's/.\x08//g' >"$BATS_TEST_TMPDIR/page"
  [ "$(commands | wc -l)" -ge 8 ]
  for command in $(commands); do
    [ "$(grep -c "mapcrash $command \[OPTION\]" "$BATS_TEST_TMPDIR/page")" -eq 2 ]
    for option in $(options "$command" | grep -v -- --help); do
      echo "$command $option"
      sed -n "/^ *mapcrash $command \[OPTION\]/,/^ *mapcrash [a-z]* \[OPTION\]/p" "$BATS_TEST_TMPDIR/page" |
        grep -qE -- "^ *(-[a-z], )?$option"
    done
  done
}

@test "the completion offers every command, and every option of each" {
  # shellcheck disable=SC1090
  source <("$MAPCRASH" help --completion)
  COMP_WORDS=(mapcrash "") COMP_CWORD=1
  _mapcrash
  for command in $(commands); do
    [[ " ${COMPREPLY[*]} " == *" $command "* ]]
  done
  for command in $(commands); do
    COMP_WORDS=(mapcrash "$command" --) COMP_CWORD=2
    _mapcrash
    [ "$(printf '%s\n' "${COMPREPLY[@]}" | sort)" = "$(options "$command" | sort)" ]
  done
}

@test "the completion offers files after options that take one, and nothing after numbers" {
  # shellcheck disable=SC1090
  source <("$MAPCRASH" help --completion)
  cd "$SOURCE_DIR"
  COMP_WORDS=(mapcrash explain --exe READ) COMP_CWORD=3
  _mapcrash
  [ "${COMPREPLY[*]}" = README.md ]
  COMP_WORDS=(mapcrash explain --color a) COMP_CWORD=3
  _mapcrash
  [ "${COMPREPLY[*]}" = "always auto" ]
  COMP_WORDS=(mapcrash maps --limit "") COMP_CWORD=3
  _mapcrash
  [ "${#COMPREPLY[@]}" -eq 0 ]
}
