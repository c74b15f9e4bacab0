# shellcheck shell=bash disable=SC2034,SC2154
# Messages. Everything but a command's result goes to standard error.

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

show_log_tail() {
  say "--- the last lines of $1"
  tail -n 20 "$1" >&2 2>/dev/null || say "(no log)"
  say "---"
}

milliseconds() { echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; }

as_seconds() { printf '%d.%d s' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

# Single quotes, which every shell understands.
quoted() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# For a command line that a person may copy.
shown() { if [[ $1 =~ ^[A-Za-z0-9_./-]+$ ]]; then printf '%s' "$1"; else quoted "$1"; fi; }
