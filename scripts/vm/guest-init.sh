#!/bin/busybox sh
# PID 1 of the guest, twice. First in the initramfs: puts the host's files below an overlay in memory, and
# makes that the root (no chroot: setns to a mount namespace would leave it). Then there: the job, and power off;
# or systemd in its place.
console=/dev/hvc0
end() {
	echo "VM-EXIT $1" >$console
	$busybox sleep 0.2 # else the line is lost with the power
	$busybox poweroff -f
}
fail() {
	echo "guest-init: cannot $1" >$console
	end 125
}
given() { # given NAME: as it stands on the kernel's command line
	$busybox sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline
}

prepare() {
	busybox=/bin/busybox
	$busybox mkdir -p /proc /sys /dev /host /over /root
	$busybox mount -t proc proc /proc
	$busybox mount -t devtmpfs dev /dev
	for module in /modules/*.ko; do $busybox insmod "$module"; done
	vm=$(given vm) job=$(given job) layer=$(given layer) release=$(given release)
	$busybox mount -t virtiofs -o ro host /host || fail "mount the host's files"
	$busybox mount -t tmpfs tmpfs /over
	$busybox mkdir /over/upper /over/work
	# A copy: as a lower layer it would lie within the other one, which overlayfs refuses.
	[ -z "$layer" ] || $busybox cp -a "/host$layer/." /over/upper/
	$busybox mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /root ||
		fail "mount the overlay"
	for kind in proc sysfs:sys devtmpfs:dev bpf:sys/fs/bpf cgroup2:sys/fs/cgroup devpts:dev/pts tmpfs:run tmpfs:dev/shm; do
		$busybox mkdir -p "/root/${kind#*:}"
		$busybox mount -t "${kind%%:*}" none "/root/${kind#*:}" || echo "guest-init: no ${kind#*:}" >$console
	done
	# Modules that the kernel asks for by itself: qdiscs, netfilter, tun.
	$busybox mkdir -p "/root/lib/modules/$release"
	$busybox mount -o bind "/host$vm/build/vm/kernels/$release/lib/modules/$release" "/root/lib/modules/$release"
	$busybox cp "/host$vm/build/vm/tools/bin/kmod" /root/usr/bin/kmod
	for name in modprobe lsmod; do $busybox ln -sf /usr/bin/kmod "/root/usr/sbin/$name"; done
	if [ -n "$layer" ]; then exec $busybox switch_root /root /lib/systemd/systemd; fi
	exec $busybox switch_root /root /bin/sh "$vm/scripts/vm/guest-init.sh" "$vm" "$job"
}

work() { # work CHECKOUT JOB
	busybox=$1/build/vm/tools/bin/busybox
	$busybox ip link set lo up
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /bin/sh "$2" >$console 2>&1 </dev/null
	end $?
}

if [ $# -eq 0 ]; then prepare; else work "$@"; fi
