#include "confine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_TITLE "l7egg-cli: run: "
/* What of a line goes beyond is left out: a path may have this much. */
#define LINE_BYTES 8192
/* \xNN, and the end of the text */
#define ESCAPED_BYTES 5

static int reports = -1;

void report_to(int fd)
{
	reports = fd;
}

int report_fd(void)
{
	return reports;
}

/*
 * One line. What is quoted in it may be anybody's: every byte that is no printable ASCII is written as \xNN, so that
 * nothing moves or hides what stands around it, or begins a line.
 */
static void put_line(int fd, const char *title, const char *format, va_list arguments)
{
	char text[LINE_BYTES];
	char line[LINE_BYTES * ESCAPED_BYTES];
	size_t length = 0;

	vsnprintf(text, sizeof(text), format, arguments);
	for (const char *at = text; *at; at++) {
		if (*at >= ' ' && *at <= '~')
			line[length++] = *at;
		else
			length += (size_t)sprintf(line + length, "\\x%02x", (unsigned char)*at);
	}
	dprintf(fd, "%s%.*s\n", title, (int)length, line);
}

void remark(const char *format, ...)
{
	va_list arguments;

	if (reports < 0)
		return;
	va_start(arguments, format);
	put_line(reports, "remark ", format, arguments);
	va_end(arguments);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	put_line(STDERR_FILENO, OWN_TITLE, format, arguments);
	va_end(arguments);
}

_Noreturn void fail(const char *format, ...)
{
	const int error = errno;
	char text[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	say("%s%s%s", text, error ? ": " : "", error ? strerror(error) : "");
	if (reports >= 0)
		dprintf(reports, "failed\n");
	_exit(EXIT_OWN_FAILURE);
}
