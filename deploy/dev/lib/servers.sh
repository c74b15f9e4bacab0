# shellcheck shell=bash disable=SC2034,SC2154
# What is particular to each server: its command line, its health check, its endpoint.

SERVERS=(etcd apiserver controller-manager minio redis)

MINIO_USER=devroot

# Prints the command line, one argument a line; assignments in front are environment.
server_command() {
  local folder=$STATE/$1
  case $1 in
    etcd)
      # The election among one member is made short: it is most of a restart's time.
      printf '%s\n' "$(tool_binary etcd)" \
        --data-dir="$folder/data" \
        --listen-client-urls="$(endpoint_of etcd)" \
        --advertise-client-urls="$(endpoint_of etcd)" \
        --listen-peer-urls="http://127.0.0.1:$(< "$folder/peer-port")" \
        --heartbeat-interval=50 --election-timeout=250 \
        --unsafe-no-fsync \
        --log-level=warn
      ;;
    apiserver)
      # Neither a route to other machines nor a kubelet is there: the server announces
      # itself to nobody, and objects are accepted without a service account's token.
      printf '%s\n' "$(tool_binary kube-apiserver)" \
        --etcd-servers="$(endpoint_of etcd)" \
        --bind-address=127.0.0.1 --secure-port="$(port_of apiserver)" \
        --advertise-address=127.0.0.1 --endpoint-reconciler-type=none \
        --cert-dir="$folder/certs" \
        --token-auth-file="$folder/tokens.csv" \
        --authorization-mode=RBAC \
        --disable-admission-plugins=ServiceAccount \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$folder/sa.pub" \
        --service-account-signing-key-file="$folder/sa.key" \
        --service-cluster-ip-range=10.0.0.0/24
      ;;
    controller-manager)
      # Without --secure-port it would need a port of its own, for metrics only.
      printf '%s\n' "$(tool_binary kube-controller-manager)" \
        --kubeconfig="$STATE/kubeconfig" \
        --cert-dir="$folder/certs" \
        --secure-port=0 \
        --leader-elect=false \
        --controllers=namespace-controller,garbage-collector-controller,serviceaccount-controller,clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller
      ;;
    minio)
      printf '%s\n' \
        MINIO_ROOT_USER="$MINIO_USER" \
        MINIO_ROOT_PASSWORD_FILE="$folder/root-password" \
        MINIO_BROWSER=off MINIO_UPDATE=off \
        "$(tool_binary minio)" server "$folder/data" \
        --address "127.0.0.1:$(port_of minio)" \
        --certs-dir "$folder/certs"
      ;;
    redis)
      # Every write goes to the append-only file, so that even a killed server keeps its data.
      printf '%s\n' "$(command -v redis-server)" \
        --bind 127.0.0.1 --port "$(port_of redis)" \
        --dir "$folder/data" \
        --appendonly yes --appendfsync no --save "" \
        --set-proc-title no
      ;;
  esac
}

# The files that a server reads only when it starts.
files_read_at_start() {
  case $1 in
    apiserver)          echo "$STATE/apiserver/tokens.csv" ;;
    controller-manager) echo "$STATE/kubeconfig" ;;
    minio)              echo "$STATE/minio/root-password" ;;
    *)                  echo /dev/null ;;
  esac
}

endpoint_of() {
  local port
  port=$(port_of "$1") || return 1
  case $1 in
    apiserver) echo "https://127.0.0.1:$port" ;;
    redis)     echo "redis://127.0.0.1:$port/0" ;;
    *)         echo "http://127.0.0.1:$port" ;;
  esac
}

data_of() {
  case $1 in
    etcd|minio|redis) echo "$STATE/$1/data" ;;
    *)                echo "-" ;;
  esac
}

server_is_healthy() {
  case $1 in
    etcd)               answers "$(endpoint_of etcd)/health" ;;
    apiserver)          answers "$(endpoint_of apiserver)/readyz" --cacert "$STATE/apiserver/certs/apiserver.crt" ;;
    minio)              answers "$(endpoint_of minio)/minio/health/ready" ;;
    redis)              redis_answers "$(port_of redis)" ;;
    controller-manager) is_running controller-manager ;;
  esac
}

answers() {
  curl -q --silent --fail --output /dev/null --noproxy '*' --max-time 3 "$@" 2>/dev/null
}

redis_answers() {
  local connection reply=
  { exec {connection}<> "/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'PING\r\n' >&"$connection"
  read -r -t 3 reply <&"$connection" || true
  exec {connection}>&-
  [[ $reply == +PONG* ]]
}

# --- starting ----------------------------------------------------------------

declare -A JUST_STARTED=()

start_our_servers() {
  with_ports_locked assign_ports
  start_server minio
  start_server redis
  # The API server waits a full second when etcd does not answer its first call.
  start_server etcd
  require_ready etcd
  discard_expired_certificate
  start_server apiserver
  require_ready apiserver
  write_kubeconfig
  start_server controller-manager
  require_ready minio
  require_ready redis
}

assign_ports() {
  assign_port_unless_running etcd port 2379
  assign_port_unless_running etcd peer-port 2380
  assign_port_unless_running apiserver port 6443
  assign_port_unless_running minio port 9000
  assign_port_unless_running redis port 6379
}

assign_port_unless_running() {
  if server_is_ours "$1" && ! is_running "$1"; then assign_port "$@"; fi
}

start_server() {
  local server=$1 arguments
  if ! server_is_ours "$server"; then return; fi
  mapfile -t arguments < <(server_command "$server")
  stop_if_outdated_or_stuck "$server" "${arguments[@]}"
  if is_running "$server"; then return; fi

  if has_crashed "$server"; then
    say "$server: had ended by itself, starting it again with its data (its log: $STATE/$server/previous.log)"
  else
    say "$server: starting"
  fi
  launch "$server" "${arguments[@]}"
  JUST_STARTED[$server]=1
  start_settings "$server" "${arguments[@]}" > "$STATE/$server/settings"
}

stop_if_outdated_or_stuck() {
  local server=$1
  if ! is_running "$server"; then return; fi
  if [[ $(start_settings "$@") != "$(cat "$STATE/$server/settings" 2>/dev/null)" ]]; then
    say "$server: runs with other settings than it should have now, restarting it"
    stop_server "$server"
  elif ! server_is_healthy "$server"; then
    say "$server: runs but does not answer, giving it 20 s"
    wait_until_ready "$server" 20 || stop_server "$server"
  fi
}

start_settings() {
  local server=$1
  shift
  { printf '%s\n' "$@"; cat "$(files_read_at_start "$server")"; } | sha256sum
}

# The others answered when it was decided to leave them alone.
require_ready() {
  if [[ -z ${JUST_STARTED[$1]:-} ]]; then return; fi
  if ! wait_until_ready "$1" 90; then
    show_log_tail "$STATE/$1/log"
    die "$1 did not start; its whole log: $STATE/$1/log"
  fi
}

# The API server makes its certificate once, for a year.
discard_expired_certificate() {
  local certificate=$STATE/apiserver/certs/apiserver.crt
  if [[ -e $certificate ]] && ! is_running apiserver &&
    ! openssl x509 -in "$certificate" -noout -checkend $((7 * 86400)) > /dev/null; then
    rm -f "$STATE"/apiserver/certs/apiserver.{crt,key}
  fi
}

write_kubeconfig() {
  if ! server_is_ours apiserver; then return; fi
  cat > "$STATE/kubeconfig.new" <<END
apiVersion: v1
kind: Config
current-context: minio-manager-dev
contexts:
  - name: minio-manager-dev
    context: {cluster: minio-manager-dev, user: admin, namespace: default}
clusters:
  - name: minio-manager-dev
    cluster:
      server: $(endpoint_of apiserver)
      certificate-authority-data: $(base64 -w0 "$STATE/apiserver/certs/apiserver.crt")
users:
  - name: admin
    user: {token: $(secret apiserver/admin-token)}
END
  mv "$STATE/kubeconfig.new" "$STATE/kubeconfig"
}

stop_our_servers() {
  local server
  for server in controller-manager minio redis apiserver; do ask_to_stop "$server"; done
  for server in controller-manager minio redis apiserver etcd; do stop_server "$server"; done
}
