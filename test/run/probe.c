/*
 * probe ATTEMPT ARGS…: makes one attempt and prints "ok" or the name of the errno. Tests run it outside and inside.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char **arguments;

static long number(int index)
{
	return strtol(arguments[index], NULL, 0);
}

static long try_socket(void)
{
	return socket(number(0), number(1), number(2));
}

static long try_socketpair(void)
{
	int pair[2];

	return socketpair(number(0), number(1), 0, pair);
}

static long try_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 1, &params);
}

static long try_bpf(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

/* ENOKEY: it was looked for. */
static long try_request_key(void)
{
	return syscall(SYS_request_key, "user", "l7egg-no-such-key", *arguments, 0);
}

static long try_open_handle(void)
{
	struct file_handle *handle = calloc(1, sizeof(*handle) + MAX_HANDLE_SZ);
	int mount_id;

	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, arguments[0], handle, &mount_id, 0) < 0)
		return -1;
	return open_by_handle_at(open("/", O_RDONLY), handle, O_RDONLY);
}

static long try_unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static long reap(long child)
{
	if (child == 0)
		_exit(0);
	if (child > 0)
		waitpid(child, NULL, 0);
	return child;
}

static long try_clone_user(void)
{
	return reap(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
}

static long try_clone3_user(void)
{
	struct clone_args flags = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };

	return reap(syscall(SYS_clone3, &flags, sizeof(flags)));
}

static long try_terminal_input(void)
{
	return ioctl(0, TIOCSTI, "#");
}

/* The kernel takes the low half of the request only; a filter that compares all of it is passed so. */
static long try_terminal_input_high_bits(void)
{
	return syscall(SYS_ioctl, 0, TIOCSTI | 1UL << 40, "#");
}

static long try_terminal_paste(void)
{
	char subcode = 3;

	return ioctl(0, TIOCLINUX, &subcode);
}

static long try_terminal_size(void)
{
	struct winsize size;

	return ioctl(0, TIOCGWINSZ, &size);
}

#ifdef __x86_64__
static long compat_call(long call, long first, long second, long third)
{
	long answer;

	asm volatile("int $0x80" : "=a"(answer) : "a"(call), "b"(first), "c"(second), "d"(third) : "memory");
	if (answer >= 0)
		return answer;
	errno = -answer;
	return -1;
}

static long try_compat_socket(void)
{
	return compat_call(359, number(0), number(1), 0);
}

static long try_compat_socketcall(void)
{
	uint32_t *list = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	list[0] = number(0);
	list[1] = number(1);
	return compat_call(102, 1, (long)list, 0);
}

static long try_x32_socket(void)
{
	return syscall(0x40000000 | SYS_socket, number(0), number(1), 0);
}
#endif

static long try_ptrace(void)
{
	return ptrace(PTRACE_SEIZE, number(0), 0, 0);
}

/* From the address of our own stack: EFAULT would mean that the reader was let in and found nothing there. */
static long try_read_memory(void)
{
	char byte, *at = (char *)strtoul(arguments[1], NULL, 16);
	struct iovec to = { &byte, 1 }, from = { at, 1 };

	return process_vm_readv(number(0), &to, 1, &from, 1, 0);
}

static long try_take_descriptor(void)
{
	int process = syscall(SYS_pidfd_open, number(0), 0);

	return process < 0 ? -1 : syscall(SYS_pidfd_getfd, process, number(1), 0);
}

static long try_signal(void)
{
	return kill(number(0), number(1));
}

/* A debugger's work on a child of its own. */
static long try_debug_child(void)
{
	pid_t child = fork();
	long answer;

	if (child == 0) {
		pause();
		_exit(0);
	}
	answer = ptrace(PTRACE_SEIZE, child, 0, 0);
	kill(child, SIGKILL);
	return answer;
}

static long unix_socket(const char *path, int (*act)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, path, strlen(path));
	if (*path == '@')
		address.sun_path[0] = '\0';
	return act(fd, (const struct sockaddr *)&address, length) < 0 ? -1 : fd;
}

static int call_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return connect(fd, address, length);
}

static int call_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return bind(fd, address, length);
}

static long try_connect(void)
{
	return unix_socket(arguments[0], call_connect);
}

static long try_open(void)
{
	return open(arguments[0], O_RDWR);
}

static long try_write(void)
{
	int fd = open(arguments[0], O_WRONLY);

	return fd < 0 ? -1 : write(fd, arguments[1], strlen(arguments[1]));
}

static long try_rename(void)
{
	return rename(arguments[0], arguments[1]);
}

static long try_list(void)
{
	return open(arguments[0], O_RDONLY | O_DIRECTORY);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* Root in namespaces of its own, still the same user outside. */
static long enter_user_namespace(void)
{
	char map[64];
	unsigned int uid = geteuid();

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP) < 0)
		return -1;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_text("/proc/self/uid_map", map);
	return 0;
}

/* Mounts cgroup2 anew at ARG0, and writes our pid into the cgroup ARG1 below it. */
static long try_fresh_cgroup(void)
{
	char path[512];

	if (enter_user_namespace() < 0 || mount("cgroup2", arguments[0], "cgroup2", 0, NULL) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", arguments[0], arguments[1]);
	arguments[0] = path;
	arguments[1] = "0";
	return try_write();
}

/* Takes a mount off, or makes it writable again, with all capabilities of a namespace of its own. */
static long try_unmount(void)
{
	return enter_user_namespace() < 0 ? -1 : umount2(arguments[0], MNT_DETACH);
}

static long try_remount(void)
{
	return enter_user_namespace() < 0 ? -1 : mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND, NULL);
}

static long try_bind_parent(void)
{
	return enter_user_namespace() < 0 ? -1 : mount(arguments[0], arguments[1], NULL, MS_BIND, NULL);
}

static long try_fresh_tmpfs(void)
{
	return enter_user_namespace() < 0 ? -1 : mount("none", arguments[0], "tmpfs", 0, NULL);
}

/* listen PATH… -- COMMAND: runs the command with sockets that take connections at each path. */
static int listen_and_run(char **paths)
{
	int status;
	pid_t child;

	for (; strcmp(*paths, "--") != 0; paths++) {
		int fd;

		umask(0);
		unlink(*paths); /* of an earlier run */
		fd = unix_socket(*paths, call_bind);
		if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || listen(fd, 64) < 0) {
			perror(*paths);
			return 99;
		}
	}
	umask(022);
	child = fork();
	if (child == 0) {
		execvp(paths[1], paths + 1);
		_exit(98);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* victim: waits to be attacked; says its pid and an address of its memory. */
static int be_victim(void)
{
	char byte = 1;

	printf("%d %lx\n", getpid(), (unsigned long)&byte);
	fflush(stdout);
	pause();
	return byte;
}

static const struct {
	const char *name;
	long (*attempt)(void);
} attempts[] = {
	{ "socket", try_socket },
	{ "socketpair", try_socketpair },
	{ "io_uring", try_io_uring },
	{ "bpf", try_bpf },
	{ "request_key", try_request_key },
	{ "open_handle", try_open_handle },
	{ "unshare_user", try_unshare_user },
	{ "clone_user", try_clone_user },
	{ "clone3_user", try_clone3_user },
	{ "terminal_input", try_terminal_input },
	{ "terminal_input_high_bits", try_terminal_input_high_bits },
	{ "terminal_paste", try_terminal_paste },
	{ "terminal_size", try_terminal_size },
#ifdef __x86_64__
	{ "compat_socket", try_compat_socket },
	{ "compat_socketcall", try_compat_socketcall },
	{ "x32_socket", try_x32_socket },
#endif
	{ "ptrace", try_ptrace },
	{ "read_memory", try_read_memory },
	{ "take_descriptor", try_take_descriptor },
	{ "signal", try_signal },
	{ "debug_child", try_debug_child },
	{ "connect", try_connect },
	{ "open", try_open },
	{ "write", try_write },
	{ "rename", try_rename },
	{ "list", try_list },
	{ "fresh_cgroup", try_fresh_cgroup },
	{ "unmount", try_unmount },
	{ "remount", try_remount },
	{ "bind_parent", try_bind_parent },
	{ "fresh_tmpfs", try_fresh_tmpfs },
};

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "listen") == 0)
		return listen_and_run(argv + 2);
	if (argc > 1 && strcmp(argv[1], "victim") == 0)
		return be_victim();
	arguments = argv + 2;
	for (size_t i = 0; argc > 1 && i < sizeof(attempts) / sizeof(*attempts); i++) {
		if (strcmp(argv[1], attempts[i].name) != 0)
			continue;
		puts(attempts[i].attempt() < 0 ? strerrorname_np(errno) : "ok");
		return 0;
	}
	fprintf(stderr, "probe: no such attempt\n");
	return 99;
}
