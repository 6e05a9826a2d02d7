// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What a program that is judged does, and how fast it can.
 *
 * usage: observe-client connects ADDRESS PORT MS   connects for so long, one after the other, in turns to the
 *                                                  addresses from ADDRESS on; writes how many a second,
 *                                                  and the nanoseconds of CPU time that one takes
 *        observe-client packets ADDRESS COUNT      sends datagrams to those addresses; writes the nanoseconds of
 *                                                  this thread's CPU time that a packet takes
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES 64

static long long clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static struct sockaddr_in to(const char *base, int port, long long n)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	address.sin_addr.s_addr = htonl(ntohl(inet_addr(base)) + n % ADDRESSES);
	return address;
}

static int connects(const char *base, int port, long long ms)
{
	/* Closed by a reset: no port is kept for a minute. */
	struct linger at_once = { .l_onoff = 1 };
	long long started = clock_ns(CLOCK_MONOTONIC), now = started, done = 0;
	long long used = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (; now - started < ms * 1000000; now = clock_ns(CLOCK_MONOTONIC)) {
		struct sockaddr_in address = to(base, port, done);
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
			perror("connect");
			return 1;
		}
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		done++;
	}
	used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - used;
	printf("%.1f %.1f\n", done * 1e9 / (now - started), (double)used / done);
	return 0;
}

static int packets(const char *base, long long count)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	long long started = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	for (long long n = 0; n < count; n++) {
		struct sockaddr_in address = to(base, 9, n);

		if (sendto(fd, "packet", 6, 0, (struct sockaddr *)&address, sizeof(address)) < 0) {
			perror("sendto");
			return 1;
		}
	}
	printf("%.1f\n", (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - started) / count);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "connects"))
		return connects(argv[2], atoi(argv[3]), atoll(argv[4]));
	if (argc == 4 && !strcmp(argv[1], "packets"))
		return packets(argv[2], atoll(argv[3]));
	return 2;
}
