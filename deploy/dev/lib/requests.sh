# shellcheck shell=bash disable=SC2034,SC2154
# S3 requests as users of MinIO, each with the key in the user's own Secret.

declare -A ACCESS_KEY=() SECRET_KEY=() S3_ENDPOINT=() S3_REGION=()

# Reads the Secret that the user's object names. Its content stays in this shell.
take_key_of() {
  local user=$1 secret key=() template=
  secret=$(kubectl get miniouser "$user" -o jsonpath='{.status.credentials.secretName}')
  if [[ -z $secret ]]; then die "the MinioUser $user names no Secret in status.credentials.secretName"; fi
  for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL_S3 AWS_REGION; do
    template+="{{ .data.$name | base64decode }}{{ \"\\n\" }}"
  done
  mapfile -t key < <(kubectl get secret "$secret" -o go-template="$template")
  if ((${#key[@]} != 4)); then die "the Secret $secret has no key of $user"; fi
  ACCESS_KEY[$user]=${key[0]}
  SECRET_KEY[$user]=${key[1]}
  S3_ENDPOINT[$user]=${key[2]}
  S3_REGION[$user]=${key[3]}
}

# Somebody without a key, who asks where another user asks.
take_no_key() {
  ACCESS_KEY[$1]=''
  S3_ENDPOINT[$1]=${S3_ENDPOINT[$2]}
}

# request USER ACTION PATH: sets ANSWER to allowed, refused, or what happened instead.
# The actions are read, write, delete and list; the path starts with the bucket.
request() {
  local user=$1 action=$2 path=$3 url arguments status code
  local reply=$WORK/reply body=$WORK/body
  url=${S3_ENDPOINT[$user]}/$path
  case $action in
    read)
      arguments=()
      ;;
    write)
      printf 'written by %s\n' "$user" > "$body"
      arguments=(--upload-file "$body")
      ;;
    delete)
      arguments=(--request DELETE)
      ;;
    list)
      arguments=()
      url="${S3_ENDPOINT[$user]}/${path%%/*}/?list-type=2&prefix=$(encoded "${path#*/}")"
      ;;
  esac
  : > "$reply"
  status=$(send "$user" --output "$reply" "${arguments[@]}" "$url") || status=000
  code=$(sed -n 's:.*<Code>\([A-Za-z]*\)</Code>.*:\1:p' "$reply" | head -n 1)
  case $status-$code in
    20?-)             ANSWER=allowed ;;
    403-AccessDenied) ANSWER=refused ;;
    000-*)            ANSWER="no answer" ;;
    *)                ANSWER="HTTP $status${code:+ $code}" ;;
  esac
}

# The key goes through a pipe: a command line would show it to the whole machine.
send() {
  local user=$1
  shift
  local arguments=(-q --silent --noproxy '*' --max-time 10 --write-out '%{http_code}' "$@")
  if [[ -z ${ACCESS_KEY[$user]} ]]; then
    curl "${arguments[@]}"
  else
    printf 'user = "%s:%s"\n' "${ACCESS_KEY[$user]}" "${SECRET_KEY[$user]}" |
      curl "${arguments[@]}" --config - --aws-sigv4 "aws:amz:${S3_REGION[$user]}:s3"
  fi
}

# Names of the demo need no other escape. curl signs a query as it stands.
encoded() { echo "${1//\//%2F}"; }
