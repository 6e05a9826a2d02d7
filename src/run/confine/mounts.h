/* The table of mounts, and the calls of Linux 5.2 and 5.12 that older C libraries have no functions for. */
#ifndef L7EGG_MOUNTS_H
#define L7EGG_MOUNTS_H

#include <stdbool.h>
#include <sys/stat.h>

struct mount_point {
	char *root; /* what of the file system is mounted: "/" is all of it */
	char *path;
	char *fs_type;
	struct mount_point *next;
};

/* Those that are on top at their path, in the order of the kernel. */
struct mount_point *read_mounts(void);

/* Set-id bits and capabilities of files count for nothing on any mount that is there. */
void ignore_file_privileges(void);

/* Makes the mount at `path`, and with `is_recursive` all below it, read-only. */
void set_read_only(const char *path, bool is_recursive);

/* Answers false when nothing is at `path`: then there is nothing to change either. */
bool find(const char *path, struct stat *status);

/* Mounts an empty directory of root at `path`; `options` are those of tmpfs. */
void mount_empty(const char *path, const char *options);

/* Makes what is at `path`, if anything, a mount of its own that is read-only. */
void freeze(const char *path);

/* A copy of what is at `path`, attached nowhere; -1 and ENOENT when nothing is there. */
int clone_tree(const char *path);

void attach_tree(int tree, const char *path);

/* kernel-mounts.c */
/* The one of the pid namespace that we are in now; in any other one outside processes would be seen. */
void replace_proc(void);
void guard_kernel_mounts(bool is_root);

#endif
