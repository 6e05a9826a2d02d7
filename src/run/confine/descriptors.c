#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const streams[] = { "stdin", "stdout", "stderr" };

/* What it was made in stays its judge: a socket from outside the cgroup is not held by the programs of the cgroup. */
static void check_socket(int fd)
{
	int domain;
	socklen_t length = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
		fail("Cannot look at the socket on %s", streams[fd]);
	if (domain == AF_INET || domain == AF_INET6) {
		remark("%s is a network socket made outside: what the command sends through it is not judged", streams[fd]);
	} else if (domain != AF_UNIX) {
		errno = 0;
		fail("%s is a socket of address family %d made outside: only unix and internet sockets are passed on",
		     streams[fd], domain);
	}
}

void check_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat status;

		if (fstat(fd, &status) < 0) {
			if (errno == EBADF)
				continue;
			fail("Cannot look at %s", streams[fd]);
		}
		/* openat(2) from it would see the file system as it is outside, with what is hidden and writable. */
		if (S_ISDIR(status.st_mode)) {
			errno = 0;
			fail("%s is a directory opened outside: the command would see past its mounts", streams[fd]);
		}
		if (S_ISSOCK(status.st_mode))
			check_socket(fd);
	}
}

/* All but the report descriptor, which execve(2) closes. */
void close_inherited(void)
{
	unsigned int kept = report_fd();

	if (kept > 3 && syscall(SYS_close_range, 3, kept - 1, 0) < 0)
		fail("Cannot close inherited descriptors");
	if (syscall(SYS_close_range, kept + 1, ~0U, 0) < 0)
		fail("Cannot close inherited descriptors");
}

/* Node raises the soft limit to the hard one; a program that uses select(2) or closes them all is harmed by that. */
void restore_open_files(unsigned long soft)
{
	struct rlimit limit;

	if (soft == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("Cannot read the limit of open files");
	if (soft < limit.rlim_max)
		limit.rlim_cur = soft;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		fail("Cannot set the limit of open files");
}
