# shellcheck shell=bash disable=SC2034,SC2154
# Calls of the REST API as users who have a token of their own.

REST_ADMINISTRATOR=operator

rest_url() { echo "http://127.0.0.1:$(port_of controller rest-port)"; }

token_file() { echo "$STATE/controller/tokens/$1"; }

# One random token for each user of the demo and for an administrator, readable by nobody else.
write_tokens() (
  umask 077
  local folder=$STATE/controller/tokens user admin
  mkdir -p "$folder"
  echo "tokens:" > "$folder/all.yaml.new"
  for user in alice bob carol dave erin "$REST_ADMINISTRATOR"; do
    admin=false
    if [[ $user == "$REST_ADMINISTRATOR" ]]; then admin=true; fi
    if [[ ! -s $folder/$user ]]; then openssl rand -hex 24 > "$folder/$user"; fi
    echo "- {user: $user, admin: $admin, token: $(cat "$folder/$user")}" >> "$folder/all.yaml.new"
  done
  mv "$folder/all.yaml.new" "$folder/all.yaml"
)

# call_rest USER PATH BODY: posts the body, shows the call as a person can repeat it, and sets CALL_TOOK, in milliseconds.
call_rest() {
  local user=$1 path=$2 body=$3 started status reply=$WORK/rest-reply
  detail "curl -H \"Authorization: Bearer \$(cat $(shown "$(token_file "$user")"))\" $(rest_url)$path \\"
  detail "     --json '$body'"
  started=$(milliseconds)
  # The token goes through a pipe: a command line would show it to the whole machine.
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$(token_file "$user")")" |
    curl -q --silent --noproxy '*' --max-time 10 --config - --json "$body" \
      --output "$reply" --write-out '%{http_code}' "$(rest_url)$path") || status=000
  CALL_TOOK=$(($(milliseconds) - started))
  if [[ $status != 2?? || $status == 207 ]]; then
    die "POST $path answered $status: $(head -c 500 "$reply" 2> /dev/null)"
  fi
}
