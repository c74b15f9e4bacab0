# shellcheck shell=bash disable=SC2034,SC2154
# What must be installed before anything can be built or started.

check_prerequisites() {
  local missing=()
  need_command curl curl
  need_command openssl openssl
  need_command flock util-linux
  need_command setsid util-linux
  need_command go ""
  if server_is_ours redis && ! have redis-server; then
    install_redis_server
    need_command redis-server redis-server
  fi

  if ((${#missing[@]} > 0)); then
    say "error: these programs are missing; install them and try again:"
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
  fi
  read_go_version
}

have() { command -v "$1" > /dev/null; }

# Adds to the caller's list of missing programs.
need_command() {
  have "$1" || missing+=("$(printf '%-14s %s' "$1" "$(how_to_install "$1" "$2")")")
}

how_to_install() {
  if [[ $1 == go ]]; then
    echo "Go $(required_go_version) or newer: https://go.dev/doc/install"
  elif ((EUID == 0)); then
    echo "apt-get install -y $2"
  else
    echo "sudo apt-get install -y $2"
  fi
}

# Of what "up" needs; a tool that needs a newer one says so when it is built.
required_go_version() {
  local name folder _
  for name in $(tools_needed); do
    read -r folder _ < <(describe_tool "$name")
    sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' "$TOOLS_SOURCE/$folder/go.mod"
  done | sort -V | tail -n 1
}

# Asked inside a module, so that go fetches a newer toolchain or refuses, as its own
# settings have it, when the installed one is too old for the tools.
read_go_version() {
  if ! GO_VERSION=$(cd "$TOOLS_SOURCE/kubernetes" && go env GOVERSION); then
    die "go is too old: needed is $(how_to_install go "")"
  fi
}

# The tools' paths depend on Go's version, but showing what runs must not fail without Go.
read_go_version_if_any() { if have go; then read_go_version; else GO_VERSION=none; fi; }

# Debian starts the server that it installs, on Redis' usual port. That does no
# harm: ports are chosen afterwards.
install_redis_server() {
  if ((EUID != 0)) || ! have apt-get; then return; fi
  say "redis-server: not installed, installing it with apt-get"
  local log
  log=$(mktemp)
  apt_install redis-server > "$log" 2>&1 ||
    { apt-get update && apt_install redis-server; } > "$log" 2>&1 ||
    show_log_tail "$log"
  rm -f "$log"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1" < /dev/null
}
