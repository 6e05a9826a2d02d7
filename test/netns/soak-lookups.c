// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Looks names up that nobody asked for before, an AAAA record each, and counts the answers.
 *
 * usage: soak-lookups RESOLVER SUFFIX PER_SECOND
 *   names are s-0.SUFFIX, s-1.SUFFIX …
 * Goes on until SIGTERM; then writes `asked N answered N refused N ms N`. At most WINDOW are under way; one that is not
 * answered within a second is given up. refused: answers with an error, such as those of the enforcer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32
#define WINDOW 512
#define MESSAGE_BYTES 512
#define GIVEN_UP_NS 1000000000LL

static volatile sig_atomic_t is_over;
static const char *suffix;

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

static int add_label(unsigned char *to, const char *label, int length)
{
	to[0] = length;
	memcpy(to + 1, label, length);
	return 1 + length;
}

static int make_query(unsigned char *message, long long number)
{
	char first[32];
	int at = 12;

	memcpy(message, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
	message[0] = number >> 8;
	message[1] = number;
	at += add_label(message + at, first, snprintf(first, sizeof(first), "s-%lld", number));
	for (const char *label = suffix; *label;) {
		int length = strcspn(label, ".");

		at += add_label(message + at, label, length);
		label += length + (label[length] == '.');
	}
	memcpy(message + at, "\0\0\x1c\0\1", 5);
	return at + 5;
}

int main(int argc, char **argv)
{
	static unsigned char queries[BATCH][MESSAGE_BYTES], answers[BATCH][MESSAGE_BYTES];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };
	struct mmsghdr sent[BATCH] = {}, received[BATCH] = {};
	struct iovec out[BATCH], in[BATCH];
	struct sigaction action = { .sa_handler = end };
	long long asked = 0, answered = 0, refused = 0, given_up = 0, started, last;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 4 << 20;
	double per_second;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		return 2;
	suffix = argv[2];
	per_second = atof(argv[3]);
	sigaction(SIGTERM, &action, NULL);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	puts("going");
	fflush(stdout);
	last = started = now_ns();
	while (!is_over) {
		long long now = now_ns(), waiting = asked - answered - refused - given_up;
		long long due = (now - started) * per_second / 1e9 - asked;
		int n = due < 0 ? 0 : due > BATCH ? BATCH : due;

		if (n > WINDOW - waiting)
			n = WINDOW - waiting;
		for (int i = 0; i < n; i++) {
			out[i] = (struct iovec){ queries[i], make_query(queries[i], asked + i) };
			sent[i].msg_hdr = (struct msghdr){ .msg_iov = &out[i], .msg_iovlen = 1 };
		}
		for (int i = 0; i < BATCH; i++) {
			in[i] = (struct iovec){ answers[i], MESSAGE_BYTES };
			received[i].msg_hdr = (struct msghdr){ .msg_iov = &in[i], .msg_iovlen = 1 };
		}
		if (n > 0) {
			n = sendmmsg(fd, sent, n, 0);
			asked += n > 0 ? n : 0;
		}
		n = recvmmsg(fd, received, BATCH, 0, NULL);
		for (int i = 0; i < n; i++) {
			if (answers[i][3] & 15)
				refused++;
			else
				answered++;
			last = now;
		}
		if (n <= 0 && waiting && now - last > GIVEN_UP_NS) {
			given_up += waiting;
			last = now;
		}
		if (n <= 0) {
			struct pollfd wait = { .fd = fd, .events = POLLIN };

			poll(&wait, 1, 1);
		}
	}
	printf("asked %lld answered %lld refused %lld ms %lld\n", asked, answered, refused,
	       (now_ns() - started) / 1000000);
	return 0;
}
