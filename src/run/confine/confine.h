/*
 * l7egg-confine: starts one command with the ways out of its cgroup closed.
 *
 *   l7egg-confine --report-fd=N --cgroup-procs=PATH --uid=N --gid=N [SETTING…] -- COMMAND ARGS…
 *
 * It is two processes. The supervisor stays outside the cgroup: it passes signals on, waits and exits with the
 * command's code. Its child joins the cgroup, shuts the doors one by one and becomes the command. A step that fails
 * ends it before the command starts, with exit code 125. What a kernel does not have and the design lets be stated
 * instead goes to the report descriptor, a line each.
 *
 * The report descriptor is a stream socket. Up: "remark SENTENCE\n", and "failed\n" when the command was not
 * started. Down: one byte for each signal that the other end got. Its end of file means that the other end died.
 */
#ifndef L7EGG_CONFINE_H
#define L7EGG_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As env(1) has them. */
enum { EXIT_OWN_FAILURE = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/* A change of what the command sees of the file system; done in the order of the arguments. */
struct view_change {
	enum {
		HIDE, /* an empty directory, or /dev/null, in its place */
		EMPTY, /* an empty directory that root may fill */
		KEEP, /* what was there before the directory above it was hidden or emptied */
		OWN, /* an empty directory that belongs to the command's user */
		FREEZE, /* read-only */
	} kind;
	const char *path;
};

/* Kernels have processes kept apart in one of two ways. */
enum isolation {
	BY_LANDLOCK, /* a domain of its own: ptrace and /proc/PID/root end at its border */
	BY_PID_NAMESPACE, /* outside processes have no number inside */
};

struct settings {
	const char *cgroup_procs;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t group_count;
	unsigned long open_files; /* soft RLIMIT_NOFILE; 0: as it is */
	int landlock_abi; /* of this kernel, lowered by --landlock-abi; 0: none */
	enum isolation isolation;
	struct view_change *changes;
	size_t change_count;
	char **command;
};

/* report.c */
void report_to(int fd);
int report_fd(void);
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes a line to stderr, which is the command's. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Appends errno in words when it is not 0. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* settings.c */
void parse_settings(struct settings *settings, char **argv);

/* supervise.c */
void block_signals(void);
void unblock_signals(void);
int supervise(const struct settings *settings, pid_t child);
_Noreturn void be_init(pid_t command);

/* view.c */
void enter_own_view(const struct settings *settings);

/* descriptors.c */
void check_standard_streams(void);
void close_inherited(void);
void restore_open_files(unsigned long soft);

/* privileges.c */
void drop_privileges(const struct settings *settings);

/* landlock.c */
int landlock_abi(void);
void enter_landlock_domain(int abi);

/* syscall-filter.c */
void filter_system_calls(bool is_root);

#endif
