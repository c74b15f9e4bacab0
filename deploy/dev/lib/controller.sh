# shellcheck shell=bash disable=SC2034,SC2154
# The controller and the REST service as one detached process beside the servers, with its data in the same
# state directory.

# The copy keeps running when the next build replaces the original, and its path tells
# whose process it is.
start_controller() {
  local built=$1 folder=$STATE/controller
  (umask 077 && mkdir -p "$folder")
  if is_running controller && is_up_to_date "$built" && controller_answers /live; then return; fi
  stop_controller
  cp "$built" "$folder/minio-manager"
  write_minio_credentials
  write_tokens
  with_ports_locked assign_port controller port 8080
  with_ports_locked assign_port controller rest-port 8000
  controller_settings > "$folder/settings"
  mapfile -t settings < "$folder/settings"
  launch controller "${settings[@]}" "$folder/minio-manager" all
  wait_for_controller
}

# Settings come as environment, one a line.
controller_settings() {
  cat <<END
KUBECONFIG=$(value_of KUBECONFIG)
MINIO_ENDPOINT=$(value_of MINIO_ENDPOINT)
MINIO_ACCESS_KEY_FILE=$STATE/controller/access-key
MINIO_SECRET_KEY_FILE=$STATE/controller/secret-key
LEASE=none
HOME_NAMESPACE=$HOME_NAMESPACE
METRICS_LISTEN=127.0.0.1:$(port_of controller)
LISTEN=127.0.0.1:$(port_of controller rest-port)
AUTH=static
STATIC_TOKENS=$STATE/controller/tokens/all.yaml
END
}

# Command lines and environments are visible to others on the machine, files are not.
write_minio_credentials() (
  umask 077
  minio_user > "$STATE/controller/access-key"
  minio_password > "$STATE/controller/secret-key"
)

is_up_to_date() {
  cmp --silent "$1" "$STATE/controller/minio-manager" &&
    [[ $(controller_settings) == "$(cat "$STATE/controller/settings" 2>/dev/null)" ]]
}

wait_for_controller() {
  local deadline=$((SECONDS + 60))
  until controller_answers /ready; do
    if ! is_running controller || ((SECONDS >= deadline)); then
      show_log_tail "$STATE/controller/log"
      die "the controller did not get ready; its whole log: $STATE/controller/log"
    fi
    sleep 0.05
  done
}

controller_answers() { answers "http://127.0.0.1:$(port_of controller)$1"; }

stop_controller() {
  if [[ -d $STATE/controller ]]; then stop_server controller; fi
}
