#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void join_cgroup(const char *procs)
{
	int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		fail("Cannot join the cgroup \"%s\"", procs);
	close(fd);
}

static _Noreturn void become_command(char **command)
{
	int error;

	execvp(command[0], command);
	error = errno;
	say("Cannot start \"%s\": %s", command[0], strerror(error));
	dprintf(report_fd(), "failed\n");
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static _Noreturn void confine(const struct settings *settings)
{
	/* First: nothing that is done from here on is outside. */
	join_cgroup(settings->cgroup_procs);
	enter_own_view(settings);
	if (settings->isolation == BY_PID_NAMESPACE) {
		pid_t command = fork();

		if (command < 0)
			fail("Cannot make the process of the command");
		if (command > 0)
			be_init(command);
	}
	check_standard_streams();
	close_inherited();
	restore_open_files(settings->open_files);
	drop_privileges(settings);
	/* The supervisor's end is the command's. Only now: a change of credentials takes it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail("Cannot tie the command to its supervisor");
	if (settings->isolation == BY_LANDLOCK)
		enter_landlock_domain(settings->landlock_abi);
	filter_system_calls(settings->uid == 0);
	unblock_signals();
	become_command(settings->command);
}

/* A fork, into a new pid namespace when that is what keeps outside processes out of reach. */
static pid_t fork_child(enum isolation isolation)
{
	unsigned long flags = SIGCHLD | (isolation == BY_PID_NAMESPACE ? CLONE_NEWPID : 0);

	return syscall(SYS_clone, flags, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	struct settings settings;
	pid_t child;
	int abi;

	(void)argc;
	block_signals();
	parse_settings(&settings, argv);
	abi = landlock_abi();
	if (settings.landlock_abi > abi)
		settings.landlock_abi = abi;
	/* The first version has every rename between directories refused. */
	settings.isolation = settings.landlock_abi >= 2 ? BY_LANDLOCK : BY_PID_NAMESPACE;
	if (fcntl(report_fd(), F_SETFD, FD_CLOEXEC) < 0)
		fail("Cannot use the report descriptor");
	child = fork_child(settings.isolation);
	if (child < 0)
		fail("Cannot make the process of the command");
	if (child == 0)
		confine(&settings);
	return supervise(&settings, child);
}
