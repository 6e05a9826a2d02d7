#define _GNU_SOURCE
#include "mounts.h"
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in linux/mount.h, which does not go together with sys/mount.h of every libc. */
struct attributes {
	uint64_t set, clear, propagation, userns_fd;
};

enum { ATTRIBUTE_READ_ONLY = 1, ATTRIBUTE_NO_SET_ID = 2, TREE_CLONE = 1, TREE_RECURSIVE = 0x8000, MOVE_FROM_EMPTY_PATH = 4 };

void set_read_only(const char *path, bool is_recursive)
{
	const struct attributes attributes = { .set = ATTRIBUTE_READ_ONLY };

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, is_recursive ? TREE_RECURSIVE : 0, &attributes,
		    sizeof(attributes)) < 0)
		fail("Cannot make \"%s\" read-only", path);
}

void ignore_file_privileges(void)
{
	const struct attributes attributes = { .set = ATTRIBUTE_NO_SET_ID };

	if (syscall(SYS_mount_setattr, AT_FDCWD, "/", TREE_RECURSIVE, &attributes, sizeof(attributes)) < 0)
		fail("Cannot take set-id bits and file capabilities out of effect");
}

bool find(const char *path, struct stat *status)
{
	if (stat(path, status) == 0)
		return true;
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		fail("Cannot look at \"%s\"", path);
	return false;
}

void mount_empty(const char *path, const char *options)
{
	if (mount("l7egg", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		fail("Cannot hide \"%s\"", path);
}

void freeze(const char *path)
{
	struct stat status;

	if (!find(path, &status))
		return;
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		fail("Cannot make \"%s\" a mount of its own", path);
	set_read_only(path, true);
}

int clone_tree(const char *path)
{
	return syscall(SYS_open_tree, AT_FDCWD, path, TREE_CLONE | TREE_RECURSIVE | O_CLOEXEC);
}

void attach_tree(int tree, const char *path)
{
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_FROM_EMPTY_PATH) < 0)
		fail("Cannot keep \"%s\"", path);
	close(tree);
}

/* proc(5): blanks and backslashes of paths are octal. */
static char *decode_path(const char *text)
{
	char *path = strdup(text), *to = path;

	if (!path)
		fail("Cannot hold the table of mounts");
	for (const char *from = text; *from;) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to++ = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return path;
}

/* A mount that another one covers is out of reach: its path leads to the other, which must not be taken for it. */
static bool is_on_top(const char *path, uint64_t mount_id)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			return false;
		fail("Cannot look at the mount \"%s\"", path);
	}
	if (!(status.stx_mask & STATX_MNT_ID)) {
		errno = 0;
		fail("Cannot tell mounts apart: Linux 5.8 or newer is needed");
	}
	return status.stx_mnt_id == mount_id;
}

static void release(struct mount_point *mount)
{
	free(mount->root);
	free(mount->path);
	free(mount->fs_type);
	free(mount);
}

/* ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG…] - FSTYPE SOURCE OPTIONS; NULL for one that is covered */
static struct mount_point *parse_line(char *line)
{
	struct mount_point *mount = calloc(1, sizeof(*mount));
	char *fs_type = strstr(line, " - "), *save = NULL, *fields[5];

	if (!mount)
		fail("Cannot hold the table of mounts");
	errno = 0;
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i] || !fs_type)
			fail("Cannot read the table of mounts");
	}
	fs_type += strlen(" - ");
	fs_type[strcspn(fs_type, " ")] = '\0';
	mount->root = decode_path(fields[3]);
	mount->path = decode_path(fields[4]);
	mount->fs_type = strdup(fs_type);
	if (is_on_top(mount->path, strtoull(fields[0], NULL, 10)))
		return mount;
	release(mount);
	return NULL;
}

struct mount_point *read_mounts(void)
{
	FILE *table = fopen("/proc/self/mountinfo", "re");
	struct mount_point *first = NULL, **next = &first;
	char *line = NULL;
	size_t size = 0;

	if (!table)
		fail("Cannot read the table of mounts");
	while (getline(&line, &size, table) > 0) {
		struct mount_point *mount = parse_line(line);

		if (!mount)
			continue;
		*next = mount;
		next = &mount->next;
	}
	free(line);
	fclose(table);
	return first;
}
