// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sends datagrams of one flow in a tight loop: swap-sender ADDRESS PORT BLOCKED. At each SIGUSR1, and at SIGTERM, prints
 * what went on since the last: {"sent":…,"cpuUs":…,"wallUs":…}: datagrams to ADDRESS, and the longest that one round of
 * one datagram to ADDRESS and one to BLOCKED took, of this thread's CPU time and by the clock.
 *
 * As the other end: swap-sender PORT. Prints {"received":…,"passed":…,"lost":…} at SIGTERM: datagrams that say that
 * they are for ADDRESS and for BLOCKED, and those for which there was no room.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t is_over, is_asked;

static void note(int signal)
{
	if (signal == SIGTERM)
		is_over = 1;
	else
		is_asked = 1;
}

static long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int receive(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 256 << 20, yes = 1;
	unsigned long received = 0, passed = 0;
	unsigned int lost = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)))
		return 1;
	puts("listening");
	fflush(stdout);
	while (!is_over) {
		char byte, control[64];
		struct iovec part = { .iov_base = &byte, .iov_len = 1 };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
					  .msg_controllen = sizeof(control) };

		if (recvmsg(fd, &message, 0) != 1)
			continue;
		if (byte == 'a')
			received++;
		else
			passed++;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
			if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL)
				memcpy(&lost, CMSG_DATA(c), sizeof(lost));
	}
	printf("{\"received\":%lu,\"passed\":%lu,\"lost\":%u}\n", received, passed, lost);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = note };
	struct sockaddr_in to = { .sin_family = AF_INET }, blocked = { .sin_family = AF_INET };
	long long cpu, wall, after, worst_cpu = 0, worst_wall = 0;
	unsigned long sent = 0;
	int fd;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	if (argc == 2)
		return receive(atoi(argv[1]));
	if (argc != 4)
		return 2;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	to.sin_port = blocked.sin_port = htons(atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	inet_pton(AF_INET, argv[3], &blocked.sin_addr);
	puts("going");
	fflush(stdout);
	for (;;) {
		cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
		wall = now_ns(CLOCK_MONOTONIC);
		if (sendto(fd, "a", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
			sent++;
		sendto(fd, "b", 1, 0, (struct sockaddr *)&blocked, sizeof(blocked));
		after = now_ns(CLOCK_MONOTONIC) - wall;
		if (after > worst_wall)
			worst_wall = after;
		after = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
		if (after > worst_cpu)
			worst_cpu = after;
		if (is_asked || is_over) {
			is_asked = 0; /* before the answer, for the next question may follow at once */
			printf("{\"sent\":%lu,\"cpuUs\":%.1f,\"wallUs\":%.1f}\n", sent, worst_cpu / 1e3,
			       worst_wall / 1e3);
			fflush(stdout);
			if (is_over)
				return 0;
			worst_cpu = worst_wall = 0;
		}
	}
}
