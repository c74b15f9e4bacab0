# shellcheck shell=bash disable=SC2034,SC2154
# The state directory: each server's data, port, log and process id, and the secrets.

choose_state_directory() {
  DEFAULT_STATE=$(realpath -m -- "$HERE/../../.dev")
  STATE=$(realpath -m -- "${1:-$DEFAULT_STATE}")
  MARKER=$STATE/.minio-manager-stack
}

state_is_default() { [[ $STATE == "$DEFAULT_STATE" && -z ${MINIO_MANAGER_STACK:-} ]]; }

state_exists() { [[ -e $MARKER ]]; }

# One command at a time may change a state directory. The lock file also marks the
# directory as one that `down --wipe` may empty.
lock_state() {
  exec 9> "$MARKER"
  if ! flock --nonblock 9; then
    say "another stack command is at work in $STATE, waiting for it"
    flock 9
  fi
}

prepare_state() {
  umask 077
  mkdir -p "$STATE"
  lock_state
  mkdir -p "$STATE"/{etcd/data,apiserver/certs,controller-manager,minio/{data,certs},redis/data,tokens.d}
  make_secrets
  merge_tokens
}

make_secrets() {
  make_once apiserver/admin-token openssl rand -hex 24
  make_once minio/root-password openssl rand -hex 24
  make_once apiserver/sa.key openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048
  make_once apiserver/sa.pub openssl pkey -in "$STATE/apiserver/sa.key" -pubout
}

make_once() {
  local file=$STATE/$1
  shift
  if [[ ! -s $file ]]; then
    "$@" > "$file.new" 2> "$file.error" || { cat "$file.error" >&2; die "can't make $file"; }
    rm -f "$file.error"
    mv "$file.new" "$file"
  fi
}

merge_tokens() {
  {
    echo "$(secret apiserver/admin-token),admin,admin,system:masters"
    # Also ends a file's last line when its writer did not; blank lines are an error to the API server.
    awk 'NF' "$STATE"/tokens.d/*.csv 2>/dev/null || true
  } > "$STATE/apiserver/tokens.csv.new"
  mv "$STATE/apiserver/tokens.csv.new" "$STATE/apiserver/tokens.csv"
}

secret() { cat "$STATE/$1"; }

wipe_state() {
  local file
  for file in "$STATE"/*/{port,peer-port}; do
    if [[ -s $file ]]; then rm -f "$CACHE/ports/$(< "$file")"; fi
  done
  rm -rf "$STATE"/{etcd,apiserver,controller-manager,minio,redis,tokens.d,kubeconfig} "$MARKER"
  rmdir "$STATE" 2>/dev/null || say "$STATE holds other files too and was kept"
}

# --- ports -------------------------------------------------------------------

# port_of SERVER [FILE]: a server with several ports has a file for each.
port_of() { cat "$STATE/$1/${2:-port}" 2>/dev/null; }

# Keeps the port of the last start, so that endpoints stay what they were.
assign_port() {
  local server=$1 file=$STATE/$1/$2 preferred=$3 port
  port=$(cat "$file" 2>/dev/null || echo "$preferred")
  if ! port_is_free "$port"; then
    local taken=$port
    port=$(some_free_port)
    if [[ -s $file ]]; then
      say "$server: its port $taken is used by another program now, moving to port $port"
    else
      say "$server: port $taken is in use, taking port $port"
    fi
  fi
  echo "$port" > "$file"
  claim_port "$port"
}

# Below the range from which the kernel takes ports for outgoing connections.
some_free_port() {
  local port
  for _ in {1..500}; do
    port=$((20000 + RANDOM % 12000))
    if port_is_free "$port"; then
      echo "$port"
      return
    fi
  done
  die "no free port found between 20000 and 32000"
}

port_is_free() { ! port_is_listening "$1" && ! port_is_claimed "$1"; }

port_is_listening() {
  local port
  printf -v port '%04X' "$1"
  grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F]+:[0-9A-F]+ 0A " /proc/net/tcp /proc/net/tcp6
}

# Two stacks that start at the same moment must not choose the same port: a choice
# counts for a minute or two, by when its server is listening.
port_is_claimed() {
  local claim=$CACHE/ports/$1
  [[ -s $claim && $(< "$claim") != "$STATE" ]]
}

claim_port() { echo "$STATE" > "$CACHE/ports/$1"; }

with_ports_locked() {
  mkdir -p "$CACHE/ports"
  local lock
  exec {lock}> "$CACHE/ports/lock"
  flock "$lock"
  find "$CACHE/ports" -type f ! -name lock -mmin +1 -delete
  "$@"
  exec {lock}>&-
}
