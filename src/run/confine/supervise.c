#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * l7egg-cli, this process and, unless it made a job of its own, the command are one process group: what a terminal
 * or kill(-group) sends reaches all three; what is sent to l7egg-cli alone has to be passed on. The two differ in
 * whether it came to us as well. A signal for the group is put to each member in one loop of the kernel, so ours comes
 * within the grace after l7egg-cli's; l7egg-cli, when busy, may tell of its own a good while after ours.
 */
enum { GRACE_MS = 20, SAME_SIGNAL_MS = 2000 };

enum { SIGNAL_COUNT = 65 };

struct forwarding {
	pid_t child;
	int came[SIGNAL_COUNT]; /* to us, and l7egg-cli has not told of its own yet */
	int64_t came_at[SIGNAL_COUNT]; /* the last of these */
	int came_from[SIGNAL_COUNT]; /* si_code */
	int64_t due_at[SIGNAL_COUNT]; /* when what l7egg-cli got is passed on; 0: nothing is */
};

static const int held[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU };

static void held_signals(sigset_t *signals)
{
	sigemptyset(signals);
	for (size_t i = 0; i < sizeof(held) / sizeof(*held); i++)
		sigaddset(signals, held[i]);
}

void block_signals(void)
{
	sigset_t signals;

	held_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

/*
 * The command starts with every signal at its default, as from a shell; two numbers are libc's own, and programs that
 * posix_spawn() started, such as those of make, ignore them. It would not set these, so the kernel is asked.
 */
void unblock_signals(void)
{
	/* struct sigaction of the kernel, on any processor: SIG_DFL, no flags, an empty mask */
	const unsigned long by_default[4] = { 0 };
	sigset_t none;

	for (int number = 1; number < SIGNAL_COUNT; number++)
		syscall(SYS_rt_sigaction, number, by_default, NULL, (SIGNAL_COUNT - 1) / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* SI_QUEUE tells the init of a pid namespace that it is from here and to be passed on. */
static void pass_on(const struct forwarding *state, int number)
{
	const union sigval none = { 0 };

	sigqueue(state->child, number, none);
}

/* The command has had it: the terminal chose its group, or it is in the group that was signalled. */
static bool command_has_it(const struct forwarding *state, int number)
{
	return state->came_from[number] == SI_KERNEL || getpgid(state->child) == getpgrp();
}

static void take_own_signal(struct forwarding *state, const struct signalfd_siginfo *signal)
{
	int number = signal->ssi_signo;

	if (number >= SIGNAL_COUNT)
		return;
	state->came_from[number] = signal->ssi_code;
	state->came_at[number] = now_ms();
	if (state->due_at[number] && command_has_it(state, number))
		state->due_at[number] = 0;
	else
		state->came[number]++;
}

static void take_passed_signal(struct forwarding *state, unsigned char number)
{
	int64_t now = now_ms();

	if (number >= SIGNAL_COUNT)
		return;
	if (number == SIGCONT) {
		pass_on(state, number);
		return;
	}
	if (now - state->came_at[number] > SAME_SIGNAL_MS)
		state->came[number] = 0;
	if (state->came[number] > 0 && command_has_it(state, number))
		state->came[number]--;
	else
		state->due_at[number] = now + GRACE_MS;
}

/* Answers after how long to look again, for poll(2). */
static int pass_due(struct forwarding *state)
{
	int64_t now = now_ms();
	int next = -1;

	for (int number = 1; number < SIGNAL_COUNT; number++) {
		if (!state->due_at[number])
			continue;
		if (state->due_at[number] <= now) {
			state->due_at[number] = 0;
			pass_on(state, number);
		} else if (next < 0 || state->due_at[number] - now < next) {
			next = state->due_at[number] - now;
		}
	}
	return next;
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * A command that stops itself stops l7egg-cli, so that the caller's shell sees a stopped job. We never stop: what
 * continues all three would find us stopped and the command's stop not yet told.
 */
static bool has_ended(pid_t child, pid_t parent, int *code)
{
	int status;

	while (waitpid(child, &status, WNOHANG | WUNTRACED) > 0) {
		if (!WIFSTOPPED(status)) {
			*code = exit_code(status);
			return true;
		}
		if (getppid() == parent) /* not of who inherited us when it died */
			kill(parent, SIGSTOP);
	}
	return false;
}

/* l7egg-cli was killed: as with a command that it had become, nothing of it goes on. */
static _Noreturn void end_all(const struct settings *settings, pid_t child)
{
	char *path = NULL, *procs = strdup(settings->cgroup_procs);
	int fd = -1;

	if (procs && asprintf(&path, "%s/cgroup.kill", dirname(procs)) > 0)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		kill(child, SIGKILL); /* before Linux 5.14: the rest stays, and stays judged */
	_exit(EXIT_OWN_FAILURE);
}

/* Answers false once the other end is gone. */
static bool read_passed(struct forwarding *state)
{
	unsigned char numbers[64];
	ssize_t length = read(report_fd(), numbers, sizeof(numbers));

	if (length < 0)
		return errno == EINTR || errno == EAGAIN;
	for (ssize_t i = 0; i < length; i++)
		take_passed_signal(state, numbers[i]);
	return length > 0;
}

int supervise(const struct settings *settings, pid_t child)
{
	struct forwarding state = { .child = child };
	struct signalfd_siginfo signal;
	struct pollfd sources[2] = { { .events = POLLIN }, { .fd = report_fd(), .events = POLLIN } };
	const pid_t parent = getppid();
	sigset_t signals;
	int code;

	held_signals(&signals);
	sources[0].fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sources[0].fd < 0) {
		kill(child, SIGKILL);
		fail("Cannot wait for signals");
	}
	while (!has_ended(child, parent, &code)) {
		if (poll(sources, 2, pass_due(&state)) < 0 && errno != EINTR) {
			kill(child, SIGKILL);
			fail("Cannot wait for the command");
		}
		while (read(sources[0].fd, &signal, sizeof(signal)) == sizeof(signal))
			take_own_signal(&state, &signal);
		if (sources[1].revents && !read_passed(&state))
			end_all(settings, child);
	}
	return code;
}

/*
 * The first process of a pid namespace: it outlives none of the others, reaps what they leave and ends with the
 * command. What the terminal sends reaches the command by itself; what the supervisor sends is passed on.
 */
_Noreturn void be_init(pid_t command)
{
	sigset_t signals;
	siginfo_t got;
	int status;

	held_signals(&signals);
	sigaddset(&signals, SIGCONT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail("Cannot tie the command to its supervisor");
	close(report_fd());
	for (;;) {
		pid_t ended;

		while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
			if (ended == command)
				_exit(exit_code(status));
		if (sigwaitinfo(&signals, &got) > 0 && got.si_code == SI_QUEUE)
			kill(command, got.si_signo);
	}
}
