# shellcheck shell=bash disable=SC2034,SC2154
# Starting, watching and stopping one detached process per server.

process_of() { cat "$STATE/$1/pid" 2>/dev/null; }

# A process id can be another program's by now: each server is known by its own
# folder, which its command line names.
is_running() {
  local process
  process=$(process_of "$1") && grep -qszF -- "$STATE/$1/" "/proc/$process/cmdline"
}

has_crashed() { [[ -e $STATE/$1/pid ]] && ! is_running "$1"; }

# The process gets none of the caller's environment, where variables for MinIO, Go,
# proxies or certificates may be set, and none of its open files, which may be locks
# or pipes that somebody waits on.
launch() {
  local server=$1 folder=$STATE/$1 process
  shift
  if [[ -e $folder/log ]]; then mv "$folder/log" "$folder/previous.log"; fi
  (
    cd "$folder" || exit
    close_inherited_files
    exec setsid env -i PATH="$PATH" HOME="$folder" "$@"
  ) > "$folder/log" 2>&1 < /dev/null &
  process=$!
  echo "$process" > "$folder/pid"
  until is_running "$server" || ! kill -0 "$process" 2>/dev/null; do sleep 0.01; done
}

close_inherited_files() {
  local file
  for file in "/proc/$BASHPID/fd"/*; do
    file=${file##*/}
    if ((file > 2)); then exec {file}>&-; fi
  done
}

# A server that somebody suspended only hears the request when it goes on.
ask_to_stop() {
  if is_running "$1"; then kill -TERM "$(process_of "$1")" && kill -CONT "$(process_of "$1")"; fi
}

# The API server waits for its clients' watches to end, long, and holds no data of its own.
seconds_to_stop() { if [[ $1 == apiserver ]]; then echo 2; else echo 15; fi; }

wait_until_stopped() {
  local deadline=$((SECONDS + $(seconds_to_stop "$1")))
  while is_running "$1"; do
    if ((SECONDS >= deadline)); then
      kill -KILL "$(process_of "$1")" 2>/dev/null || true
    fi
    sleep 0.05
  done
  rm -f "$STATE/$1/pid"
}

stop_server() { ask_to_stop "$1"; wait_until_stopped "$1"; }

wait_until_ready() {
  local server=$1 seconds=$2
  local deadline=$((SECONDS + seconds))
  until server_is_healthy "$server"; do
    if ! is_running "$server"; then
      say "$server: ended instead of getting ready"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      say "$server: not ready after $seconds s"
      return 1
    fi
    sleep 0.05
  done
}
