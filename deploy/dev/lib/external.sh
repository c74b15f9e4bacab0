# shellcheck shell=bash disable=SC2034,SC2154
# Servers that are there already and are used instead of our own, because
# KUBECONFIG, MINIO_ENDPOINT or REDIS_URL names them.

server_is_ours() {
  case $1 in
    minio) ! names_external MINIO_ENDPOINT ;;
    redis) ! names_external REDIS_URL ;;
    *)     ! names_external KUBECONFIG ;;
  esac
}

names_external() { [[ -n ${!1:-} ]] && ! is_from_a_stack "$1"; }

# `stack env` exports the same variables: what came from there, from this state
# directory or another, is no external server.
is_from_a_stack() {
  local value=${!1}
  [[ "|${MINIO_MANAGER_STACK_OWNS:-}|" == *"|$1=$value|"* || $value == "$(own_value "$1")" ]]
}

own_value() {
  case $1 in
    KUBECONFIG)     echo "$STATE/kubeconfig" ;;
    MINIO_ENDPOINT) endpoint_of minio || true ;;
    REDIS_URL)      endpoint_of redis || true ;;
  esac
}

# The value for clients: the external server's, or our own's.
value_of() {
  if names_external "$1"; then echo "${!1}"; else own_value "$1"; fi
}

minio_user() {
  if server_is_ours minio; then echo "$MINIO_USER"; else echo "${MINIO_ROOT_USER:-${MINIO_ACCESS_KEY:-}}"; fi
}

minio_password() {
  if server_is_ours minio; then
    cat "$STATE/minio/root-password" 2>/dev/null || true
  else
    echo "${MINIO_ROOT_PASSWORD:-${MINIO_SECRET_KEY:-}}"
  fi
}

check_external_servers() {
  if ! server_is_ours minio && [[ -z $(minio_user) || -z $(minio_password) ]]; then
    die "MINIO_ENDPOINT names a MinIO server of yours ($MINIO_ENDPOINT): set MINIO_ROOT_USER and" \
      "MINIO_ROOT_PASSWORD (or MINIO_ACCESS_KEY and MINIO_SECRET_KEY) for it too," \
      "or unset MINIO_ENDPOINT to have one started"
  fi
  require_external apiserver KUBECONFIG
  require_external minio MINIO_ENDPOINT
  require_external redis REDIS_URL
}

require_external() {
  if ! server_is_ours "$1" && ! external_answers "$1"; then
    die "the $1 that $2 names does not answer ($(external_name "$1")); unset $2 to have one started here"
  fi
}

# How an external server is shown: without a password.
external_name() {
  case $1 in
    apiserver) echo "KUBECONFIG=$KUBECONFIG" ;;
    minio)     echo "$MINIO_ENDPOINT" ;;
    redis)     echo "${REDIS_URL/\/\/*@///}" ;;
  esac
}

external_answers() {
  case $1 in
    apiserver) "$(kubectl_program)" get --raw /readyz --request-timeout=5s > /dev/null ;;
    minio)     curl --silent --show-error --fail --output /dev/null --max-time 5 "${MINIO_ENDPOINT%/}/minio/health/live" ;;
    redis)     external_redis_answers ;;
  esac
}

# A connection is enough here: its password and TLS settings are the clients' matter.
external_redis_answers() {
  local address=${REDIS_URL#*://} host port
  address=${address##*@}
  address=${address%%[/?]*}
  host=${address%:*}
  port=${address##*:}
  if [[ $address != *:* ]]; then port=6379; fi
  host=${host#[}
  # shellcheck disable=SC2016 # expanded by the inner shell
  timeout 5 bash -c 'exec 3<> "/dev/tcp/$0/$1"' "${host%]}" "$port" 2>/dev/null
}

# For somebody else's cluster their own kubectl will do.
kubectl_program() {
  if ! server_is_ours apiserver && ! tool_is_built kubectl && have kubectl; then
    command -v kubectl
  else
    tool_binary kubectl
  fi
}

tools_needed() {
  if server_is_ours minio; then echo minio; fi
  if server_is_ours apiserver; then
    printf '%s\n' etcd kube-apiserver kubectl kube-controller-manager
  elif ! have kubectl; then
    echo kubectl
  fi
}
