# Settings that build, up and down share. Each can be given in the environment.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
CACHE=${LOCALKUBE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/localkube} # survives `down`: binaries, images
STATE=${LOCALKUBE_STATE:-/var/lib/localkube}                        # removed by `down`: etcd, keys, pods, volumes, logs
RUN=/run/localkube # sockets; short, since a unix socket's path may have 107 characters only
BIN=$CACHE/bin
export KUBECONFIG=$STATE/admin.kubeconfig PATH=$BIN:$PATH

NODE=localkube
BRIDGE=lk0
# The bridge's own address is the node's: no machine's real address or interface is needed or touched.
NODE_IP=10.244.0.1 POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/24 API_SERVICE_IP=10.96.0.1 DNS_IP=10.96.0.10

PYTHON_IMAGE=localhost/localkube/python:3.11-bookworm # the base of images that are built here

COMPONENTS="containerd etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy csi-hostpath"
# pid_of NAME: the process on file, if it still runs and still is that program
pid_of() {
	local pid
	pid=$(cat "$STATE/pids/$1" 2>/dev/null) || return
	[ "$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | head -1)" = "$1" ] && echo "$pid"
}

export T0=${T0:-$(date +%s.%N)} # build counts on from where up began
log() { printf '%6.1f  %s\n' "$(awk -v a="$(date +%s.%N)" -v b="$T0" 'BEGIN {print a - b}')" "$*"; }

# start NAME COMMAND...: in its own session, so that it outlives the script and its terminal.
start() {
	printf '%q ' "${@:2}" >"$STATE/commands/$1"
	(cd "$STATE" && exec setsid nohup "${@:2}" >>"log/$1" 2>&1 </dev/null 8>&- 9>&-) &
	echo $! >"$STATE/pids/$1"
}
