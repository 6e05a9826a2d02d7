#include "confine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Only l7egg-cli writes these arguments: what is wrong in them is a defect, said in the fewest words. */
static unsigned long parse_number(const char *text, const char **rest)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (end == text || *text == '-' || errno)
		fail("\"%s\" is no number", text);
	*rest = end;
	return number;
}

static unsigned long parse_whole_number(const char *text)
{
	const char *rest;
	unsigned long number = parse_number(text, &rest);

	errno = 0;
	if (*rest)
		fail("\"%s\" is no number", text);
	return number;
}

/* 2^32 - 1 means "leave it" to setresuid(2). */
static unsigned int parse_id(const char *text)
{
	unsigned long id = parse_whole_number(text);

	if (id >= UINT_MAX)
		fail("\"%s\" is no user or group id", text);
	return id;
}

static void parse_groups(struct settings *settings, const char *text)
{
	size_t capacity = strlen(text) / 2 + 1;

	settings->groups = calloc(capacity, sizeof(*settings->groups));
	if (!settings->groups)
		fail("Cannot hold the groups");
	while (*text) {
		settings->groups[settings->group_count++] = parse_number(text, &text);
		if (*text == ',')
			text++;
		else if (*text)
			fail("\"%s\" is no list of groups", text);
	}
}

static const char *value_of(const char *argument, const char *name)
{
	size_t length = strlen(name);

	return strncmp(argument, name, length) == 0 ? argument + length : NULL;
}

static bool parse_change(struct settings *settings, const char *argument)
{
	static const struct {
		const char *name;
		int kind;
	} changes[] = { { "--hide=", HIDE },
			{ "--empty=", EMPTY },
			{ "--keep=", KEEP },
			{ "--own=", OWN },
			{ "--freeze=", FREEZE } };

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		const char *path = value_of(argument, changes[i].name);

		if (!path)
			continue;
		if (*path != '/')
			fail("\"%s\" is no absolute path", path);
		settings->changes[settings->change_count].kind = changes[i].kind;
		settings->changes[settings->change_count++].path = path;
		return true;
	}
	return false;
}

static void parse_setting(struct settings *settings, const char *argument)
{
	const char *value;

	if ((value = value_of(argument, "--cgroup-procs=")))
		settings->cgroup_procs = value;
	else if ((value = value_of(argument, "--uid=")))
		settings->uid = parse_id(value);
	else if ((value = value_of(argument, "--gid=")))
		settings->gid = parse_id(value);
	else if ((value = value_of(argument, "--groups=")))
		parse_groups(settings, value);
	else if ((value = value_of(argument, "--open-files=")))
		settings->open_files = parse_whole_number(value);
	else if ((value = value_of(argument, "--report-fd=")))
		report_to(parse_whole_number(value));
	else if ((value = value_of(argument, "--landlock-abi=")))
		settings->landlock_abi = parse_whole_number(value);
	else if (!parse_change(settings, argument))
		fail("\"%s\" is no setting of l7egg-confine", argument);
}

void parse_settings(struct settings *settings, char **argv)
{
	size_t count = 0;

	errno = 0;
	while (argv[count])
		count++;
	memset(settings, 0, sizeof(*settings));
	settings->uid = settings->gid = UINT_MAX;
	settings->landlock_abi = INT_MAX;
	settings->changes = calloc(count, sizeof(*settings->changes));
	if (!settings->changes)
		fail("Cannot hold the settings");
	for (argv++; *argv && strcmp(*argv, "--") != 0; argv++)
		parse_setting(settings, *argv);
	if (!*argv || !argv[1])
		fail("there is no command after \"--\"");
	if (!settings->cgroup_procs || settings->uid == UINT_MAX || settings->gid == UINT_MAX || report_fd() < 3)
		fail("--cgroup-procs, --uid, --gid and --report-fd are needed");
	settings->command = argv + 1;
}
