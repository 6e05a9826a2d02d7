#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef TIOCLINUX
#define TIOCLINUX 0x541C
#endif

/* Numbers of one calling convention; -1: it has no such call. */
struct abi {
	unsigned int audit_arch;
	int bpf, clone, clone3, io_uring_setup, ioctl, open_by_handle_at, request_key, socket, socketcall, socketpair,
		unshare;
};

static const struct abi abis[] = {
#if defined(__x86_64__)
#define HAS_TABLE 1
	{ AUDIT_ARCH_X86_64, .bpf = SYS_bpf, .clone = SYS_clone, .clone3 = SYS_clone3,
	  .io_uring_setup = SYS_io_uring_setup, .ioctl = SYS_ioctl, .open_by_handle_at = SYS_open_by_handle_at,
	  .request_key = SYS_request_key, .socket = SYS_socket, .socketcall = -1, .socketpair = SYS_socketpair,
	  .unshare = SYS_unshare },
	/* arch/x86/entry/syscalls/syscall_32.tbl */
	{ AUDIT_ARCH_I386, .bpf = 357, .clone = 120, .clone3 = 435, .io_uring_setup = 425, .ioctl = 54,
	  .open_by_handle_at = 342, .request_key = 287, .socket = 359, .socketcall = 102, .socketpair = 360,
	  .unshare = 310 },
#elif defined(__aarch64__)
#define HAS_TABLE 1
	{ AUDIT_ARCH_AARCH64, .bpf = SYS_bpf, .clone = SYS_clone, .clone3 = SYS_clone3,
	  .io_uring_setup = SYS_io_uring_setup, .ioctl = SYS_ioctl, .open_by_handle_at = SYS_open_by_handle_at,
	  .request_key = SYS_request_key, .socket = SYS_socket, .socketcall = -1, .socketpair = SYS_socketpair,
	  .unshare = SYS_unshare },
	/* arch/arm/tools/syscall.tbl */
	{ AUDIT_ARCH_ARM, .bpf = 386, .clone = 120, .clone3 = 435, .io_uring_setup = 425, .ioctl = 54,
	  .open_by_handle_at = 371, .request_key = 310, .socket = 281, .socketcall = 102, .socketpair = 288,
	  .unshare = 337 },
#else
#define HAS_TABLE 0
	{ 0 },
#endif
};

enum { MAX_STEPS = 160, X32_BIT = 0x40000000 };

static struct sock_filter steps[MAX_STEPS];
static unsigned short step_count;

static void step(unsigned short code, unsigned int k, unsigned char if_true, unsigned char if_false)
{
	if (step_count == MAX_STEPS) {
		errno = 0;
		fail("the system call filter is longer than %d steps", MAX_STEPS);
	}
	steps[step_count++] = (struct sock_filter){ code, if_true, if_false, k };
}

static void load(size_t offset)
{
	step(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

/* Both processors are little-endian: the low half comes first, and is all that the kernel takes of an int. */
static void load_argument(int number)
{
	load(offsetof(struct seccomp_data, args) + 8 * number);
}

static void load_high_half(int number)
{
	load(offsetof(struct seccomp_data, args) + 8 * number + 4);
}

static void allow(void)
{
	step(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

static void refuse(int error)
{
	step(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error, 0, 0);
}

/* Begins what is done for call `number`; `end_call` after it. The call's number is in the accumulator on either way. */
static unsigned short begin_call(int number)
{
	unsigned short at = step_count;

	step(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 0);
	return at;
}

static void end_call(unsigned short at)
{
	steps[at].jf = step_count - at - 1;
}

static void refuse_call(int number, int error)
{
	unsigned short at;

	if (number < 0)
		return;
	at = begin_call(number);
	refuse(error);
	end_call(at);
}

/* An allow-list: packet, vsock, xdp, smc, rds, tipc, can and those to come make traffic that no cgroup program sees. */
static void filter_families(int number)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	const int count = sizeof(families) / sizeof(*families);
	unsigned short at = begin_call(number);

	load_argument(0);
	for (int i = 0; i < count; i++)
		step(BPF_JMP | BPF_JEQ | BPF_K, families[i], count - i, 0);
	refuse(EAFNOSUPPORT);
	allow();
	end_call(at);
}

/* Keystrokes put into the caller's terminal are typed into its shell once the command has ended. */
static void filter_terminal(int number)
{
	unsigned short at = begin_call(number);

	load_argument(1);
	step(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0);
	step(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1);
	refuse(EPERM);
	allow();
	end_call(at);
}

/* With a callout the kernel starts /sbin/request-key outside: type dns_resolver looks any name up there. */
static void filter_request_key(int number)
{
	unsigned short at = begin_call(number);

	load_argument(2);
	step(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2);
	load_high_half(2);
	step(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
	refuse(EPERM);
	allow();
	end_call(at);
}

static void refuse_user_namespace(int number)
{
	unsigned short at = begin_call(number);

	load_argument(0);
	step(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1);
	refuse(EPERM);
	allow();
	end_call(at);
}

/* What is done for one calling convention; jumped over by the others. */
static void filter_abi(const struct abi *abi, bool is_root)
{
	load(offsetof(struct seccomp_data, nr));
	if (abi->audit_arch == AUDIT_ARCH_X86_64) {
		/* x32: the same calls under other numbers. No distribution uses it. */
		step(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
		refuse(ENOSYS);
	}
	filter_families(abi->socket);
	filter_families(abi->socketpair);
	filter_terminal(abi->ioctl);
	filter_request_key(abi->request_key);
	/* Its arguments lie in memory, which no filter can read. libc has used the calls proper since Linux 4.3. */
	refuse_call(abi->socketcall, ENOSYS);
	/* A ring makes sockets of every family past this filter. "Not in this kernel" is what programs fall back on. */
	refuse_call(abi->io_uring_setup, ENOSYS);
	refuse_call(abi->bpf, EPERM);
	refuse_call(abi->open_by_handle_at, EPERM);
	if (is_root) {
		/*
		 * In a user namespace root has all capabilities again and still owns the files of /proc/sys and of
		 * cgroups. Flags of clone3 lie in memory; without it libc uses clone.
		 */
		refuse_user_namespace(abi->unshare);
		refuse_user_namespace(abi->clone);
		refuse_call(abi->clone3, ENOSYS);
	}
	allow();
}

void filter_system_calls(bool is_root)
{
	struct sock_fprog program = { .filter = steps };

	if (!HAS_TABLE) {
		remark("there is no system call filter for this processor: vsock, io_uring and terminal input are not refused");
		return;
	}
	for (size_t i = 0; i < sizeof(abis) / sizeof(*abis); i++) {
		unsigned short at;

		load(offsetof(struct seccomp_data, arch));
		step(BPF_JMP | BPF_JEQ | BPF_K, abis[i].audit_arch, 1, 0);
		at = step_count;
		step(BPF_JMP | BPF_JA, 0, 0, 0); /* a conditional jump reaches 255 steps only */
		filter_abi(&abis[i], is_root);
		steps[at].k = step_count - at - 1;
	}
	refuse(ENOSYS);
	program.len = step_count;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0) {
		/* EINVAL: a kernel built without it. Packet sockets stay closed by the capability. */
		if (errno != EINVAL)
			fail("Cannot set the system call filter");
		remark("this kernel has no seccomp: vsock, io_uring and terminal input are not refused");
	}
}
