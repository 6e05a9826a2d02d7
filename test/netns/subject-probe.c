/*
 * subject-probe ATTEMPT ARGS…: makes one attempt and prints what came of it and how long that took: "ok 0.21",
 * "EPERM 0.03"; "silence 500.0" when nothing came back. With -hold in front the socket is made, "made" printed, and
 * the attempt begins at SIGUSR1.
 *
 *   tcp4|tcp6|mptcp ADDRESS PORT         connect
 *   fastopen ADDRESS PORT                data with the SYN
 *   udp4|udp6 ADDRESS PORT [HEX]         sendto, and wait for what comes back
 *   connected4|connected6 ADDRESS PORT   connect, send, and wait
 *   aside4|aside6 ADDRESS PORT ELSEWHERE   connect to the one, sendto the other
 *   moved4|moved6 ADDRESS PORT ELSEWHERE   connect to the one and send, then the same to the other
 *   ping4|ping6 ADDRESS                  an echo by a datagram socket
 *   raw4|raw6 ADDRESS                    an echo by a raw socket
 *   forge SOURCE PORT ADDRESS PORT       a UDP packet with headers of our own
 *   again4|again6 ADDRESS PORT ELSEWHERE  bind, connect, connect(AF_UNSPEC), connect elsewhere by the same port
 *   zerocopy4|zerocopy6 ADDRESS PORT     sendto with MSG_ZEROCOPY, and wait
 *   splice4|splice6 ADDRESS PORT         connect, splice a pipe into the socket, and wait
 *   uring4|uring6 ADDRESS PORT           IORING_OP_SENDMSG, and wait
 *   uring-tcp4|uring-tcp6 ADDRESS PORT   IORING_OP_CONNECT
 *   route4|route6 ADDRESS PORT HOP       sendto by way of HOP (loose source route, segment routing header), and wait
 */
#define _GNU_SOURCE
#include "subject-probe.h"
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <time.h>

#define MPTCP 262

char **arguments;

static int try_connect(int fd, int family)
{
	return call(fd, target_of(family, arguments[0], arguments[1]));
}

static size_t bytes_of(const char *hex, unsigned char *bytes, size_t room)
{
	size_t length = 0;

	while (length < room && sscanf(hex + 2 * length, "%2hhx", &bytes[length]) == 1)
		length++;
	return length;
}

static int try_send(int fd, int family)
{
	unsigned char text[512];
	size_t length = bytes_of(arguments[2] ? arguments[2] : "6c37656767", text, sizeof(text));

	return say(fd, target_of(family, arguments[0], arguments[1]), text, length);
}

static int try_connected(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);

	if (connect(fd, (void *)&to.address, to.length) || send(fd, "l7egg", 5, 0) < 0)
		return errno;
	return hear(fd);
}

static int try_aside(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);

	if (connect(fd, (void *)&to.address, to.length))
		return errno;
	return say(fd, target_of(family, arguments[2], arguments[1]), "l7egg", 5);
}

static int try_moved(int fd, int family)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int failure = try_connected(fd, family);

	if (failure || connect(fd, &none, sizeof(none)))
		return failure ? failure : errno;
	arguments[0] = arguments[2];
	return try_connected(fd, family);
}

static int try_fast_open(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);

	if (sendto(fd, "l7egg", 5, MSG_FASTOPEN, (void *)&to.address, to.length) < 0)
		return errno == EINPROGRESS ? until(fd, POLLOUT) : errno;
	return 0;
}

static unsigned short sum(const void *bytes, size_t length)
{
	const unsigned short *words = bytes;
	unsigned long total = 0;

	for (size_t i = 0; i < length / 2; i++)
		total += words[i];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total;
}

static int try_echo(int fd, int family)
{
	struct target to = target_of(family, arguments[0], "0");
	struct icmphdr echo = { .type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
				.un.echo.id = htons(getpid()) };

	/* The kernel fills the sum in for IPv6, and for sockets of datagrams. */
	echo.checksum = family == AF_INET ? sum(&echo, sizeof(echo)) : 0;
	return say(fd, to, &echo, sizeof(echo));
}

static int try_forge(int fd, int family)
{
	struct target to = target_of(family, arguments[2], "0");
	struct {
		struct iphdr ip;
		struct udphdr udp;
		char text[4];
	} packet = { .text = "egg" };

	packet.ip.version = 4;
	packet.ip.ihl = 5;
	packet.ip.ttl = 64;
	packet.ip.protocol = IPPROTO_UDP;
	packet.ip.tot_len = htons(sizeof(packet));
	inet_pton(AF_INET, arguments[0], &packet.ip.saddr);
	inet_pton(AF_INET, arguments[2], &packet.ip.daddr);
	packet.udp.source = htons(atoi(arguments[1]));
	packet.udp.dest = htons(atoi(arguments[3]));
	packet.udp.len = htons(sizeof(packet.udp) + sizeof(packet.text));
	return sendto(fd, &packet, sizeof(packet), 0, (void *)&to.address, to.length) < 0 ? errno : 0;
}

static const struct attempt {
	const char *name;
	int family, type, protocol;
	int (*try)(int fd, int family);
} attempts[] = {
	{ "tcp4", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, try_connect },
	{ "tcp6", AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0, try_connect },
	{ "mptcp", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, MPTCP, try_connect },
	{ "fastopen", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, try_fast_open },
	{ "udp4", AF_INET, SOCK_DGRAM, 0, try_send },
	{ "udp6", AF_INET6, SOCK_DGRAM, 0, try_send },
	{ "connected4", AF_INET, SOCK_DGRAM, 0, try_connected },
	{ "connected6", AF_INET6, SOCK_DGRAM, 0, try_connected },
	{ "aside4", AF_INET, SOCK_DGRAM, 0, try_aside },
	{ "aside6", AF_INET6, SOCK_DGRAM, 0, try_aside },
	{ "moved4", AF_INET, SOCK_DGRAM, 0, try_moved },
	{ "moved6", AF_INET6, SOCK_DGRAM, 0, try_moved },
	{ "ping4", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, try_echo },
	{ "ping6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, try_echo },
	{ "raw4", AF_INET, SOCK_RAW, IPPROTO_ICMP, try_echo },
	{ "raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, try_echo },
	{ "forge", AF_INET, SOCK_RAW, IPPROTO_RAW, try_forge },
	{ "again4", AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0, try_again },
	{ "again6", AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0, try_again },
	{ "zerocopy4", AF_INET, SOCK_DGRAM, 0, try_zero_copy },
	{ "zerocopy6", AF_INET6, SOCK_DGRAM, 0, try_zero_copy },
	{ "splice4", AF_INET, SOCK_DGRAM, 0, try_splice },
	{ "splice6", AF_INET6, SOCK_DGRAM, 0, try_splice },
	{ "uring4", AF_INET, SOCK_DGRAM, 0, try_ring_send },
	{ "uring6", AF_INET6, SOCK_DGRAM, 0, try_ring_send },
	{ "uring-tcp4", AF_INET, SOCK_STREAM, 0, try_ring_connect },
	{ "uring-tcp6", AF_INET6, SOCK_STREAM, 0, try_ring_connect },
	{ "route4", AF_INET, SOCK_DGRAM, 0, try_route },
	{ "route6", AF_INET6, SOCK_DGRAM, 0, try_route },
};

static void hold(void)
{
	sigset_t wanted;
	int got;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	printf("made\n");
	fflush(stdout);
	sigwait(&wanted, &got);
}

static void make(const struct attempt *attempt, int is_held)
{
	int fd = socket(attempt->family, attempt->type, attempt->protocol), failure;
	struct timespec from, to;

	if (fd < 0) {
		perror("socket");
		exit(2);
	}
	if (is_held)
		hold();
	clock_gettime(CLOCK_MONOTONIC, &from);
	failure = attempt->try(fd, attempt->family);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%s %.2f\n",
	       failure == 0	 ? "ok" :
	       failure == EAGAIN ? "silence" :
				   strerrorname_np(failure),
	       (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
}

int main(int argc, char **argv)
{
	int is_held = argc > 1 && strcmp(argv[1], "-hold") == 0;
	char **words = argv + 1 + is_held;

	for (size_t i = 0; *words && i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		if (strcmp(words[0], attempts[i].name))
			continue;
		arguments = words + 1;
		make(&attempts[i], is_held);
		return 0;
	}
	fprintf(stderr, "Cannot make the attempt\n");
	return 2;
}
