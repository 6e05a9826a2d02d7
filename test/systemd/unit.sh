#!/bin/bash
# unit.sh CHECKOUT WORKDIR: boots systemd as process 1 in a container over an overlay of this host's root, with
# l7egg installed as its service, and prints what test/systemd/probe.sh saw there.
#
#   container, a network of its own:   lab.service makes v0 (192.0.2.2) after the service was started
set -eu
checkout=$1
work=$2
mkdir -p "$work/upper" "$work/overlay" "$work/root"
"$checkout/test/systemd/layer.sh" "$checkout" "$work/upper"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/overlay" "$work/root"
trap 'umount -R "$work/root"' EXIT
timeout 90 systemd-nspawn --quiet --directory="$work/root" --register=no --keep-unit --private-network --capability=all \
	--system-call-filter='bpf perf_event_open pidfd_getfd @keyring' --bind=/sys/fs/bpf --boot --console=pipe \
	</dev/null >"$work/console" 2>&1 || true
cat "$work/root/probe.log"
