#!/bin/busybox sh
# PID 1 of the guest, twice. First in the initramfs: puts the host's files below an overlay in memory, and
# makes that the root (no chroot: setns to a mount namespace would leave it). Then there: the job, and power off.
console=/dev/hvc0
end() {
	echo "VM-EXIT $1" >$console
	$busybox sleep 0.2
	$busybox poweroff -f
}
fail() {
	echo "guest-init: cannot $1" >$console
	end 125
}

prepare() {
	busybox=/bin/busybox
	$busybox mkdir -p /proc /sys /dev /host /over /root
	$busybox mount -t proc proc /proc
	$busybox mount -t devtmpfs dev /dev
	for module in /modules/*.ko; do $busybox insmod "$module"; done
	$busybox mount -t virtiofs -o ro host /host || fail "mount the host's files"
	$busybox mount -t tmpfs tmpfs /over
	$busybox mkdir /over/upper /over/work
	$busybox mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work overlay /root ||
		fail "mount the overlay"
	# /tmp stays the host's: the job and this script are there.
	for kind in proc sysfs:sys devtmpfs:dev bpf:sys/fs/bpf cgroup2:sys/fs/cgroup devpts:dev/pts tmpfs:run tmpfs:dev/shm; do
		$busybox mkdir -p "/root/${kind#*:}"
		$busybox mount -t "${kind%%:*}" none "/root/${kind#*:}" || echo "guest-init: no ${kind#*:}" >$console
	done
	job=$($busybox sed -n 's/.*job=\([^ ]*\).*/\1/p' /proc/cmdline)
	exec $busybox switch_root /root /bin/sh "${job%/boot.*}/guest-init.sh" "$job"
}

work() {
	vm=${1%/boot.*}
	busybox=$vm/tools/bin/busybox
	version=$($busybox uname -r)
	# Modules that the kernel asks for by itself (qdiscs, netfilter, tun).
	$busybox mkdir -p "/lib/modules/$version"
	$busybox mount -o bind "$vm/kernels/$version/lib/modules/$version" "/lib/modules/$version"
	$busybox cp "$vm/tools/bin/kmod" /usr/bin/kmod
	for name in modprobe lsmod; do $busybox ln -sf /usr/bin/kmod /usr/sbin/$name; done
	$busybox ip link set lo up
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root /bin/sh "$1" >$console 2>&1 </dev/null
	end $?
}

if [ $# -eq 0 ]; then prepare; else work "$1"; fi
