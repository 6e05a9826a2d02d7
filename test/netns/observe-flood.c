// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sends one datagram to each of COUNT destinations: the ports from 1 on of
 * ADDRESS and of the addresses after it. Each is a flow that was not there.
 *
 * usage: observe-flood ADDRESS FIRST COUNT [PER_SECOND]
 *   FIRST  destinations that are left out at the beginning
 * Writes `sent N in MS ms` at the end, and how many the kernel did not take.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32
#define PORTS 65535

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void wait_until(long long at_ns)
{
	struct timespec at = { .tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int main(int argc, char **argv)
{
	struct sockaddr_in destinations[BATCH];
	struct mmsghdr messages[BATCH];
	struct iovec payload = { .iov_base = "flood", .iov_len = 5 };
	struct in_addr base;
	long long first, count, per_second, sent = 0, failed = 0, started;
	int fd;

	if (argc < 4 || !inet_aton(argv[1], &base))
		return 2;
	first = atoll(argv[2]);
	count = atoll(argv[3]);
	per_second = argc > 4 ? atoll(argv[4]) : 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return 1;
	memset(messages, 0, sizeof(messages));
	started = now_ns();
	while (sent < count) {
		int n = count - sent < BATCH ? count - sent : BATCH;
		int done = 0;

		for (int i = 0; i < n; i++) {
			long long at = first + sent + i;

			destinations[i] = (struct sockaddr_in){
				.sin_family = AF_INET,
				.sin_port = htons(1 + at % PORTS),
				.sin_addr.s_addr = htonl(ntohl(base.s_addr) + at / PORTS),
			};
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &destinations[i],
				.msg_namelen = sizeof(destinations[i]),
				.msg_iov = &payload,
				.msg_iovlen = 1,
			};
		}
		while (done < n) {
			int more = sendmmsg(fd, messages + done, n - done, 0);

			/* A refused one is passed over. */
			if (more <= 0)
				failed++;
			done += more <= 0 ? 1 : more;
		}
		sent += n;
		if (per_second)
			wait_until(started + sent * 1000000000LL / per_second);
	}
	printf("sent %lld in %lld ms, failed %lld\n", sent, (now_ns() - started) / 1000000, failed);
	return 0;
}
