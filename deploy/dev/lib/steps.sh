# shellcheck shell=bash disable=SC2034,SC2154
# How the demo talks: numbered steps with their time, and colours on a terminal only.

STEP=0
STEP_STARTED=0
DEMO_STARTED=$(milliseconds)

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' GREEN='' RED='' PLAIN=''
fi

# A step announces itself before its work starts, and its time when it is done.
step() {
  STEP=$((STEP + 1))
  STEP_STARTED=$(milliseconds)
  printf '%s%2d  %s%s\n' "$BOLD" "$STEP" "$*" "$PLAIN"
}

detail() { printf '    %s\n' "$*"; }

done_in() { printf '    %s%s%s\n' "$DIM" "${1:-done} ($(elapsed_since "$STEP_STARTED"))" "$PLAIN"; }

elapsed_since() { as_seconds $(($(milliseconds) - $1)); }

# Shows what went wrong with a command whose output is otherwise of no interest.
quietly() {
  local output
  if ! output=$("$@" 2>&1); then
    printf '%s\n' "$output" >&2
    die "failed: $*"
  fi
}
