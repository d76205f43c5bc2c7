# For tests of programs that race while we look on.

# Whether a run ends in a race, and whether that leaves a proof, is a matter of chance: three tries.
proven_in_three() { # COMMAND ARGS...: of mapcrash; leaves status and stderr
  for _ in 1 2 3; do
    run --separate-stderr "$MAPCRASH" "$@"
    echo "$status: $stderr"
    if [ "$status" -eq 2 ] && [[ "$stderr" == *"verdict   proven"* ]]; then return 0; fi
  done
  return 1
}
