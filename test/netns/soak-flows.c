// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Flows that live, and the peer of them.
 *
 *   soak-flows PORT                                   the peer: echoes TCP, counts UDP
 *   soak-flows PORT ADDRESS ADDRESSES SOURCES ROUND_MS TCP
 *     UDP: from SOURCES ports to each of the ADDRESSES addresses from ADDRESS on, a datagram of every flow in ROUND_MS
 *     TCP: so many connections to these addresses, of which one after the other has to echo
 *
 * Both until SIGTERM. The peer writes `received N`, the other one `sent N, echoed N, failed N, slowest N us, ms N`.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define MAX_TCP 2048
#define MAX_SOURCES 2048
#define ECHO_LIMIT_MS 2000
#define STEP_NS 1000000LL

static volatile sig_atomic_t is_over;

static void end(int signal)
{
	(void)signal;
	is_over = 1;
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_bound(int type, struct sockaddr_in *local)
{
	int fd = socket(AF_INET, type, 0), yes = 1, room = 32 << 20;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (type & SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *)local, sizeof(*local)))
		fail("bind");
	return fd;
}

static int serve(int port)
{
	static char texts[BATCH][64];
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int udp = open_bound(SOCK_DGRAM | SOCK_NONBLOCK, &any), tcp = open_bound(SOCK_STREAM, &any);
	int poller = epoll_create1(0);
	struct epoll_event events[BATCH], event = { .events = EPOLLIN };
	struct mmsghdr messages[BATCH] = {};
	struct iovec parts[BATCH];
	long long received = 0;

	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ texts[i], sizeof(texts[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	if (listen(tcp, MAX_TCP))
		fail("listen");
	event.data.fd = udp;
	epoll_ctl(poller, EPOLL_CTL_ADD, udp, &event);
	event.data.fd = tcp;
	epoll_ctl(poller, EPOLL_CTL_ADD, tcp, &event);
	puts("ready");
	fflush(stdout);
	for (int quiet = 0; !is_over || !quiet;) {
		int n = epoll_wait(poller, events, BATCH, is_over ? 100 : -1);

		/* What is on its way when it is ended counts. */
		quiet = n == 0;
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd == udp) {
				int got = recvmmsg(udp, messages, BATCH, 0, NULL);

				received += got > 0 ? got : 0;
			} else if (fd == tcp) {
				event.data.fd = accept(tcp, NULL, NULL);
				epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
			} else {
				char text[64];
				int got = read(fd, text, sizeof(text));

				if (got <= 0 || write(fd, text, got) != got)
					close(fd);
			}
		}
	}
	printf("received %lld\n", received);
	return 0;
}

/* One echo of a connection: 0, or what went wrong. */
static int echo(int fd, unsigned int number)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	unsigned int heard = ~number;

	if (send(fd, &number, sizeof(number), MSG_NOSIGNAL) != sizeof(number))
		return errno;
	if (poll(&wait, 1, ECHO_LIMIT_MS) != 1)
		return is_over ? 0 : ETIMEDOUT;
	if (recv(fd, &heard, sizeof(heard), MSG_WAITALL) != sizeof(heard))
		return errno ? errno : EPIPE;
	return heard == number ? 0 : EPROTO;
}

int main(int argc, char **argv)
{
	static int tcp[MAX_TCP], udp[MAX_SOURCES];
	struct sigaction action = { .sa_handler = end };
	struct sockaddr_in to = { .sin_family = AF_INET }, any = { .sin_family = AF_INET };
	struct rlimit files = { 8192, 8192 };
	long long started, flows, sent = 0, echoed = 0, failed = 0, slowest = 0;
	int addresses, sources, round_ms, n_tcp, port;
	in_addr_t base;

	sigaction(SIGTERM, &action, NULL);
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 2)
		return serve(atoi(argv[1]));
	if (argc != 7)
		return 2;
	port = atoi(argv[1]);
	base = ntohl(inet_addr(argv[2]));
	addresses = atoi(argv[3]);
	sources = atoi(argv[4]);
	round_ms = atoi(argv[5]);
	n_tcp = atoi(argv[6]);
	if (sources > MAX_SOURCES || n_tcp > MAX_TCP)
		return 2;
	to.sin_port = htons(port);
	for (int i = 0; i < sources; i++)
		udp[i] = open_bound(SOCK_DGRAM, &any);
	for (int i = 0; i < n_tcp; i++) {
		to.sin_addr.s_addr = htonl(base + i % addresses);
		tcp[i] = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(tcp[i], (struct sockaddr *)&to, sizeof(to)))
			fail("connect");
	}
	puts("going");
	fflush(stdout);
	flows = (long long)sources * addresses;
	started = now_ns();
	for (long long step = 1; !is_over; step++) {
		long long due = (now_ns() - started) / 1000000 * flows / round_ms, at = started + step * STEP_NS;
		struct timespec until = { .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };

		for (; sent < due && !is_over; sent++) {
			to.sin_addr.s_addr = htonl(base + sent % addresses);
			if (sendto(udp[sent / addresses % sources], "live", 4, 0, (struct sockaddr *)&to,
				   sizeof(to)) != 4 && !failed++)
				perror("sendto");
		}
		if (n_tcp > 0) {
			long long before = now_ns(), took;
			int error = echo(tcp[step % n_tcp], step);

			took = (now_ns() - before) / 1000;
			if (took > slowest)
				slowest = took;
			if (!error)
				echoed++;
			else if (!is_over && !failed++)
				fprintf(stderr, "echo: %s\n", strerror(error));
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	printf("sent %lld, echoed %lld, failed %lld, slowest %lld us, ms %lld\n", sent, echoed, failed, slowest,
	       (now_ns() - started) / 1000000);
	return 0;
}
