/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * load OBJECT: loads every program of OBJECT by itself, then all at once, and prints verified instructions
 * and time, or the end of the verifier's log. Exit code 1 when one is refused.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_BYTES (16 << 20)
#define TAIL_BYTES 3000

static char log_text[LOG_BYTES];
static int failures;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN && getenv("LOAD_VERBOSE") ? vfprintf(stderr, format, args) : 0;
}

static void print_tail(void)
{
	size_t length = strlen(log_text);
	char *from = log_text + (length > TAIL_BYTES ? length - TAIL_BYTES : 0);

	printf("%s\n", from);
}

static struct bpf_object *open_object(const char *path)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .kernel_log_buf = log_text, .kernel_log_size = LOG_BYTES);
	struct bpf_object *object = bpf_object__open_file(path, &opts);

	log_text[0] = 0;
	if (!object) {
		printf("FAIL open %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return object;
}

static void print_program(struct bpf_program *program, double ms)
{
	struct bpf_prog_info info = {};
	__u32 bytes = sizeof(info);

	bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &bytes);
	printf("ok   %-18s verified %7u  translated %6u  jited %6u  %6.0f ms\n",
	       bpf_program__name(program), info.verified_insns, info.xlated_prog_len / 8,
	       info.jited_prog_len, ms);
}

static void load_one(const char *path, const char *name)
{
	struct bpf_object *object = open_object(path);
	struct bpf_program *program, *wanted = bpf_object__find_program_by_name(object, name);
	double start;

	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program, program == wanted);
	start = now_ms();
	if (bpf_object__load(object)) {
		failures++;
		printf("FAIL %s: %s\n", name, strerror(errno));
		print_tail();
	} else
		print_program(wanted, now_ms() - start);
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	double start;

	if (argc < 2) {
		fprintf(stderr, "usage: load OBJECT\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	libbpf_set_print(quiet);
	object = open_object(argv[1]);
	bpf_object__for_each_program(program, object)
		load_one(argv[1], bpf_program__name(program));
	bpf_object__close(object);
	if (failures)
		return 1;

	object = open_object(argv[1]);
	start = now_ms();
	if (bpf_object__load(object)) {
		printf("FAIL all at once: %s\n", strerror(errno));
		print_tail();
		return 1;
	}
	printf("ok   all at once        %6.0f ms\n", now_ms() - start);
	bpf_object__close(object);
	return failures > 0;
}
