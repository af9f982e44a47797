#!/usr/bin/env bash
# A Kubernetes cluster for tests and trials, and the images in it.
#
#   scripts/cluster.sh up            the cluster and its tools; does nothing where they are there
#   scripts/cluster.sh build-images  client, coordinator, operator and the trial PostgreSQL, where changed
#   scripts/cluster.sh load-images   puts them where the cluster's nodes find them
#   scripts/cluster.sh env           prints the exports that kubectl, helm and the tests use
#   scripts/cluster.sh image-content PART   tells one image of a name from the next
#   scripts/cluster.sh builder       docker or buildah
#   scripts/cluster.sh base-image    what images are built on
#   scripts/cluster.sh prepare       makes and caches what `up` needs, and starts nothing
#   scripts/cluster.sh down          takes away what `up` made; the cache stays
#
# Which cluster: $MEDXAMION_E2E_KUBECONFIG where set (nothing is created or removed there), else kind
# where Docker runs, else one real node made from source (tests/cluster/localkube; root on Debian).
set -euo pipefail
cd "$(dirname "$0")/.."
LOCALKUBE=tests/cluster/localkube
CACHE=${LOCALKUBE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/localkube}
IMAGES="client coordinator operator postgres"
PREFIX=${MEDXAMION_E2E_REGISTRY:-localhost}/medxamion
TAG=dev

docker_runs() { docker info >/dev/null 2>&1; }

provider() {
    if [ -n "${MEDXAMION_E2E_KUBECONFIG:-}" ]; then
        echo existing
    elif docker_runs; then
        echo kind
    else
        echo localkube
    fi
}

kubeconfig() {
    case $PROVIDER in
    existing) echo "$MEDXAMION_E2E_KUBECONFIG" ;;
    kind) echo "$CACHE/kind.kubeconfig" ;;
    localkube) echo "${LOCALKUBE_STATE:-/var/lib/localkube}/admin.kubeconfig" ;;
    esac
}

tools() {
    local missing=()
    # Where the cluster is somebody's own, so may be the tools.
    [ "$PROVIDER" != localkube ] && command -v helm >/dev/null || missing+=(helm)
    command -v promtool >/dev/null || missing+=(promtool)
    tests/cluster/tools/get "${missing[@]}"
}

prepare() {
    case $PROVIDER in
    existing)
        command -v kubectl >/dev/null || { echo "kubectl is not on the PATH: install it" >&2; exit 1; }
        ;;
    kind) command -v kind >/dev/null || tests/cluster/tools/get kind ;;
    localkube)
        need_root
        $LOCALKUBE/build >&2
        ;;
    esac
    tools
}

need_root() {
    [ "$(id -u)" -eq 0 ] && [ "$(uname -s)" = Linux ] && command -v apt-get >/dev/null && return
    cat >&2 <<'TEXT'
No cluster can be made here: Docker does not answer, and the single node from source needs root on
Debian. Either start Docker (then kind is used), or name a cluster of your own:
    export MEDXAMION_E2E_KUBECONFIG=/path/to/kubeconfig
TEXT
    exit 1
}

up() {
    prepare
    case $PROVIDER in
    kind)
        if ! kind get clusters 2>/dev/null | grep -qx medxamion; then
            kind create cluster --config tests/cluster/kind.yaml --kubeconfig "$(kubeconfig)" --wait 180s >&2
        fi
        ;;
    localkube) $LOCALKUBE/up >&2 ;;
    esac
    KUBECONFIG=$(kubeconfig) kubectl get --raw /readyz >/dev/null
    echo "The cluster is up ($PROVIDER). In this shell:"
    echo "    eval \"\$(scripts/cluster.sh env)\""
    echo "Next: make test-cluster, or kubectl get nodes"
}

down() {
    case $PROVIDER in
    existing) echo "\$MEDXAMION_E2E_KUBECONFIG names a cluster that was not made here: it stays" ;;
    kind) kind delete cluster --name medxamion ;;
    localkube) $LOCALKUBE/down ;;
    esac
}

environment() {
    echo "export KUBECONFIG=$(kubeconfig)"
    echo "export PATH=$CACHE/bin:\$PATH"
    echo "export MEDXAMION_CLUSTER=$PROVIDER"
    echo "export MEDXAMION_IMAGES=$PREFIX MEDXAMION_IMAGE_TAG=$TAG"
}

# --- images -----------------------------------------------------------------------------------

builder() {
    if [ "$PROVIDER" != localkube ] && docker_runs; then echo docker; else echo buildah; fi
}

# What an image is made of, as .dockerignore lets it through.
sources() {
    case $1 in
    client) echo exam_contract exam_client ;;
    coordinator) echo exam_contract coordinator ;;
    operator) echo exam_contract operator/exam_operator ;;
    esac
}

content_key() {
    local part=$1 base=$2 files
    if [ "$part" = postgres ]; then
        files=(tests/cluster/images/postgres)
    else
        # shellcheck disable=SC2046
        files=("Dockerfile.$part" .dockerignore requirements/bootstrap.lock "requirements/$part.lock" $(sources "$part"))
    fi
    {
        echo "$base"
        find "${files[@]}" -type f ! -path '*/__pycache__/*' ! -name ruff.toml -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum | cut -d' ' -f1
}

image_id() {
    case $BUILDER in
    docker) docker image inspect --format '{{.Id}}' "$1" 2>/dev/null ;;
    buildah) buildah inspect --type image --format '{{.FromImageID}}' "$1" 2>/dev/null ;;
    esac
}

# buildah builds on a stand-in made from Debian's packages, so that no image registry is needed.
base_image() {
    if [ -n "${MEDXAMION_BASE_IMAGE:-}" ]; then
        echo "$MEDXAMION_BASE_IMAGE"
    elif [ "$BUILDER" = docker ]; then
        echo python:3.11-slim-bookworm
    else
        (. $LOCALKUBE/env.sh && echo "$PYTHON_IMAGE")
    fi
}

build_image() {
    local part=$1 image="$PREFIX/$1:$TAG" base key note context=. file=Dockerfile.$1
    base=$(base_image)
    note=$CACHE/images/$(tr '/:' '__' <<<"$image").$BUILDER # which content became which image
    key=$(content_key "$part" "$base")
    [ "$(cat "$note" 2>/dev/null)" != "$key $(image_id "$image")" ] || return 0
    [ "$part" != postgres ] || { context=tests/cluster/images/postgres file=$context/Dockerfile; }
    local arguments=(
        --build-arg "BASE=$base" --build-arg "VERSION=$(sed -n 's/^VERSION = "\(.*\)"/\1/p' exam_contract/version.py)"
        --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
        --file "$file" --tag "$image"
    )
    echo "building $image" >&2
    case $BUILDER in
    docker) docker build --quiet "${arguments[@]}" "$context" >/dev/null ;;
    buildah)
        # The machine's own trust, which a company's network may need, is lent and not kept.
        for lent in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
            [ ! -e "$lent" ] || arguments+=(--volume "$lent:$lent:ro")
        done
        buildah bud --quiet --layers --network host "${arguments[@]}" "$context" >/dev/null
        ;;
    esac
    mkdir -p "$CACHE/images"
    echo "$key $(image_id "$image")" >"$note"
}

# What tells one image of a name from the next: its identity in the builder's store.
image_content() {
    BUILDER=$(builder)
    image_id "$PREFIX/$1:$TAG"
}

build_images() {
    BUILDER=$(builder)
    if [ "$BUILDER" = buildah ] && [ -z "${MEDXAMION_BASE_IMAGE:-}" ]; then
        $LOCALKUBE/build base >&2
    fi
    for part in $IMAGES; do
        build_image "$part"
    done
}

load_images() {
    local names=()
    for part in $IMAGES; do names+=("$PREFIX/$part:$TAG"); done
    case $PROVIDER in
    localkube) $LOCALKUBE/load "${names[@]}" >&2 ;;
    kind) kind load docker-image --name medxamion "${names[@]}" >&2 ;;
    existing) hand_over "${names[@]}" ;;
    esac
}

# To a cluster that was not made here: pushed, or by a command that takes an image's name.
hand_over() {
    BUILDER=$(builder)
    for image; do
        if [ -n "${MEDXAMION_E2E_REGISTRY:-}" ]; then
            "$BUILDER" push "$image" >&2
        elif [ -n "${MEDXAMION_E2E_LOAD:-}" ]; then
            $MEDXAMION_E2E_LOAD "$image" >&2
        else
            cat >&2 <<'TEXT'
How do images reach the nodes of $MEDXAMION_E2E_KUBECONFIG? Name one:
    export MEDXAMION_E2E_REGISTRY=registry.example.org/team   # pushed there, pulled from there
    export MEDXAMION_E2E_LOAD="k3d image import -c mycluster" # a command that takes an image's name
TEXT
            exit 1
        fi
    done
}

PROVIDER=$(provider)
export PATH=$CACHE/bin:$PATH
case ${1:-} in
up) up ;;
down) down ;;
prepare) prepare ;;
env) environment ;;
build-images) build_images ;;
load-images) load_images ;;
image-content) image_content "$2" ;;
builder) builder ;;
base-image) BUILDER=$(builder) && base_image ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
