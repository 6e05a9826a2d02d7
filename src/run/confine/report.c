#include "confine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reports = -1;

void report_to(int fd)
{
	reports = fd;
}

int report_fd(void)
{
	return reports;
}

void remark(const char *format, ...)
{
	va_list arguments;

	if (reports < 0)
		return;
	dprintf(reports, "remark ");
	va_start(arguments, format);
	vdprintf(reports, format, arguments);
	va_end(arguments);
	dprintf(reports, "\n");
}

_Noreturn void fail(const char *format, ...)
{
	const int error = errno;
	va_list arguments;

	fputs("l7egg-cli: run: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
	if (reports >= 0)
		dprintf(reports, "failed\n");
	_exit(EXIT_OWN_FAILURE);
}
