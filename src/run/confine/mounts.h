/* The table of mounts, and the calls of Linux 5.2 and 5.12 that older C libraries have no functions for. */
#ifndef L7EGG_MOUNTS_H
#define L7EGG_MOUNTS_H

#include <stdbool.h>

struct mount_point {
	char *root; /* what of the file system is mounted: "/" is all of it */
	char *path;
	char *fs_type;
	struct mount_point *next;
};

/* Those that are on top at their path, in the order of the kernel. */
struct mount_point *read_mounts(void);

/* Makes the mount at `path`, and with `is_recursive` all below it, read-only. */
void set_read_only(const char *path, bool is_recursive);

/* A copy of what is at `path`, attached nowhere; -1 and ENOENT when nothing is there. */
int clone_tree(const char *path);

void attach_tree(int tree, const char *path);

#endif
