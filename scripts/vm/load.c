/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * load OBJECT [veth]: loads every program of OBJECT by itself, then all at once, and prints verified instructions
 * and time, or the end of the verifier's log. With `veth`: puts l7egg_egress on clsact of one end of a
 * pair, with no policy at all, and says what arrives at the other. Exit code 1 when anything is not as it should be.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

/* ---- an empty policy refuses ---- */

struct frame {
	struct ethhdr ethernet;
	unsigned char payload[60];
} __attribute__((packed));

static void build_frame(struct frame *frame, int ether_type)
{
	static const unsigned char udp[] = { 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1,
					     192, 0, 2, 2, 0x30, 0x39, 0, 9, 0, 26, 0, 0 };
	static const unsigned char arp[] = { 0, 1, 8, 0, 6, 4, 0, 1 };

	memset(frame, 0, sizeof(*frame));
	memset(frame->ethernet.h_dest, 0xff, 6);
	frame->ethernet.h_source[0] = 2;
	frame->ethernet.h_proto = htons(ether_type);
	if (ether_type == ETH_P_IP)
		memcpy(frame->payload, udp, sizeof(udp));
	else
		memcpy(frame->payload, arp, sizeof(arp));
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = if_nametoindex(name) };
	struct timeval wait = { .tv_usec = 300000 };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at))) {
		perror(name);
		exit(1);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

/* Whether a frame of this type that goes into `from` comes out of `to`. */
static int arrives(int from, int to, int ether_type)
{
	struct frame sent, got;
	ssize_t n;

	while (recv(to, &got, sizeof(got), MSG_DONTWAIT) > 0)
		;
	build_frame(&sent, ether_type);
	if (send(from, &sent, sizeof(sent), 0) != sizeof(sent) && errno != ENOBUFS)
		perror("send");
	while ((n = recv(to, &got, sizeof(got), 0)) > 0)
		if (n >= ETH_HLEN && got.ethernet.h_proto == htons(ether_type) &&
		    !memcmp(got.ethernet.h_source, sent.ethernet.h_source, 6))
			return 1;
	return 0;
}

static void expect(const char *what, int got, int wanted)
{
	if (got != wanted)
		failures++;
	printf("%s %s: %s\n", got == wanted ? "ok  " : "FAIL", what, got ? "arrives" : "does not arrive");
}

static int test_run(struct bpf_program *program, int ether_type)
{
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &frame, .data_size_in = sizeof(frame));

	build_frame(&frame, ether_type);
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		perror("test run");
	return (int)opts.retval;
}

static void refuse_all(struct bpf_object *object)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .handle = 1, .priority = 1);
	struct bpf_program *program = bpf_object__find_program_by_name(object, "l7egg_egress");
	int from, to, error;

	if (system("ip link add vm0 type veth peer name vm1 && ip link set vm0 up && ip link set vm1 up")) {
		failures++;
		return;
	}
	from = packet_socket("vm0");
	to = packet_socket("vm1");
	expect("IPv4 before", arrives(from, to, ETH_P_IP), 1);
	hook.ifindex = if_nametoindex("vm0");
	filter.prog_fd = bpf_program__fd(program);
	error = bpf_tc_hook_create(&hook);
	if (!error)
		error = bpf_tc_attach(&hook, &filter);
	if (error) {
		failures++;
		printf("FAIL attach: %s\n", strerror(-error));
		return;
	}
	printf("     test run: IPv4 %d, ARP %d (2 drop, 7 redirect, -1 pass)\n", test_run(program, ETH_P_IP),
	       test_run(program, ETH_P_ARP));
	expect("IPv4 with no policy", arrives(from, to, ETH_P_IP), 0);
	expect("ARP with no policy", arrives(from, to, ETH_P_ARP), 1);
	bpf_tc_detach(&hook, &(struct bpf_tc_opts){ .sz = sizeof(filter), .handle = 1, .priority = 1 });
	expect("IPv4 after", arrives(from, to, ETH_P_IP), 1);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	double start;

	if (argc < 2) {
		fprintf(stderr, "usage: load OBJECT [veth]\n");
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
	if (argc > 2)
		refuse_all(object);
	bpf_object__close(object);
	return failures > 0;
}
