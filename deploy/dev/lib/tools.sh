# shellcheck shell=bash disable=SC2034,SC2154
# Builds the servers and command line tools from source, pinned by the go.mod and
# go.sum files under tools/, into a cache that all checkouts share.

ALL_TOOLS=(minio etcd kube-apiserver kubectl kube-controller-manager mc helm kubeconform glua flux-health promrules)

CACHE=${MINIO_MANAGER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/minio-manager}

# The module folder under tools/, the package to build, and the time that a first
# build takes on two cores.
describe_tool() {
  case $1 in
    minio)                   echo "minio      github.com/minio/minio                       2-3 min" ;;
    mc)                      echo "mc         github.com/minio/mc                          1 min" ;;
    etcd)                    echo "etcd       go.etcd.io/etcd/server/v3                    1 min" ;;
    kube-apiserver)          echo "kubernetes k8s.io/kubernetes/cmd/kube-apiserver          3-4 min" ;;
    kube-controller-manager) echo "kubernetes k8s.io/kubernetes/cmd/kube-controller-manager 1-2 min" ;;
    kubectl)                 echo "kubernetes k8s.io/kubernetes/cmd/kubectl                 1 min" ;;
    helm)                    echo "helm       helm.sh/helm/v3/cmd/helm                     1-2 min" ;;
    kubeconform)             echo "kubeconform github.com/yannh/kubeconform/cmd/kubeconform 10 s" ;;
    glua)                    echo "glua       github.com/yuin/gopher-lua/cmd/glua           10 s" ;;
    flux-health)             echo "flux-health minio-manager/deploy/dev/tools/flux-health      1-2 min" ;;
    promrules)               echo "promrules  minio-manager/deploy/dev/tools/promrules        1 min" ;;
    *) return 1 ;;
  esac
}

# The version of the module that holds the tool's package, from its go.mod; nothing for a program of ours.
tool_version() {
  local folder package _
  read -r folder package _ < <(describe_tool "$1")
  awk -v package="$package/" '$2 ~ /^v/ && index(package, $1 "/") == 1 { print $2; exit }' "$TOOLS_SOURCE/$folder/go.mod"
}

# Without these the binaries report a version that clients reject or can't compare.
version_stamps() {
  local version
  version=$(tool_version "$1")
  case $1 in
    kube*)
      echo "-X k8s.io/component-base/version.gitVersion=$version" ;;
    helm)
      # Also the version of Kubernetes that charts are rendered for where no cluster is asked.
      local kubernetes minor
      kubernetes=$(tool_version kubectl)
      minor=${kubernetes#v1.}
      echo "-X helm.sh/helm/v3/internal/version.version=$version" \
        "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1" \
        "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=${minor%%.*}" ;;
    minio|mc)
      # v0.0.0-20260212201848-7aac2a2c5b7c: a time and a commit, which the project's
      # own makefile turns into a version in this way.
      local time=${version#*-} commit=${version##*-}
      local date="${time:0:4}-${time:4:2}-${time:6:2}" clock="${time:8:2} ${time:10:2} ${time:12:2}"
      echo "-X github.com/minio/$1/cmd.Version=${date}T${clock// /:}Z" \
        "-X github.com/minio/$1/cmd.ReleaseTag=DEVELOPMENT.${date}T${clock// /-}Z" \
        "-X github.com/minio/$1/cmd.CommitID=$commit" \
        "-X github.com/minio/$1/cmd.ShortCommitID=$commit" ;;
  esac
}

tool_directory() {
  local folder _ key
  read -r folder _ < <(describe_tool "$1")
  key=$( { echo "$GO_VERSION"; version_stamps "$1"; cat "$TOOLS_SOURCE/$folder/go.mod" "$TOOLS_SOURCE/$folder/go.sum"
    find "$TOOLS_SOURCE/$folder" -name '*.go' -exec cat {} +; } | sha256sum)
  echo "$CACHE/tools/$1-${key:0:12}"
}

tool_binary() { echo "$(tool_directory "$1")/bin/$1"; }

tool_is_built() { [[ -x $(tool_binary "$1") ]]; }

build_missing_tools() {
  local name
  for name in "$@"; do
    tool_is_built "$name" || build_tool "$name"
  done
}

build_tool() (
  name=$1
  mkdir -p "$CACHE/tools"
  exec 8> "$CACHE/tools/.$name.lock"
  if ! flock --nonblock 8; then
    say "$name: another build of it is under way, waiting for that"
    flock 8
    if tool_is_built "$name"; then exit 0; fi
  fi

  read -r folder package expected < <(describe_tool "$name")
  target=$(tool_directory "$name")
  log=$CACHE/tools/$name.build.log
  scratch=$(mktemp -d "$CACHE/tools/.$name.XXXXXX")
  compiler=
  # Background jobs of a script ignore the interrupt key, so the compiler is ended here.
  trap 'rm -rf "$scratch"' EXIT
  trap '[[ -z $compiler ]] || kill "$compiler" 2>/dev/null; exit 130' INT TERM

  version=$(tool_version "$name")
  say "$name: building ${version:+$version, }about $expected the first time (log: $log)"
  started=$SECONDS
  compile "$folder" "$package" "$scratch/bin/$name" "$(version_stamps "$name")" > "$log" 2>&1 8>&- &
  compiler=$!
  show_progress "$name" "$compiler" "$started"
  if ! wait "$compiler"; then
    say "$name: the build failed after $((SECONDS - started)) s"
    show_log_tail "$log"
    exit 1
  fi
  chmod 755 "$scratch"
  rm -rf "$target"
  mv "$scratch" "$target"
  say "$name: built in $((SECONDS - started)) s"
)

compile() {
  local folder=$1 package=$2 output=$3 stamps=$4
  cd "$TOOLS_SOURCE/$folder" || exit
  mkdir -p "${output%/*}"
  # The caller's own Go settings must not change what is built.
  exec env GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 GOOS= GOARCH= \
    go build -trimpath -buildvcs=false -ldflags "-s -w $stamps" -o "$output" "$package"
}

show_progress() {
  local name=$1 process=$2 started=$3 elapsed
  while kill -0 "$process" 2>/dev/null; do
    elapsed=$((SECONDS - started))
    if [[ -t 2 ]]; then
      printf '\r%s: building, %d s ' "$name" "$elapsed" >&2
    elif ((elapsed > 0 && elapsed % 15 == 0)); then
      say "$name: building, $elapsed s"
    fi
    sleep 1
  done
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}
