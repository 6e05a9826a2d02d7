// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A resolver that knows every name, for more names than a table of records holds.
 *
 * usage: answers ADDRESS PREFIX4 PREFIX6
 *   ADDRESS  IPv4, on whose port 53 (UDP) it answers
 * A name is LABEL-N.ANYTHING: its A record is the Nth address from PREFIX4 on, its AAAA record that from PREFIX6 on
 * (N in the last 32 bits), with a TTL of 60 s. What is no such question is dropped. Writes "ready"; at SIGTERM
 * "answered COUNT".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define QUERY_BYTES 512
#define HEADER_BYTES 12
#define RECORD_BYTES 28 /* with an IPv6 address */
#define TYPE_A 1
#define TYPE_AAAA 28

static volatile sig_atomic_t is_over;
static struct in_addr base4;
static struct in6_addr base6;

static void end(int signal)
{
	(void)signal;
	is_over = 1;
}

/* The end of the question, 0 = it is not one of ours. */
static int read_question(const unsigned char *message, int length, unsigned int *number, int *type)
{
	int at = HEADER_BYTES, i;

	if (length < HEADER_BYTES + 5 || message[2] & 0x80 || message[5] != 1)
		return 0;
	*number = 0;
	for (i = at + message[at]; i > at && message[i] != '-'; i--)
		;
	if (i == at)
		return 0;
	for (i++; i <= at + message[at] && i < length; i++) {
		if (message[i] < '0' || message[i] > '9')
			return 0;
		*number = *number * 10 + message[i] - '0';
	}
	while (at < length && message[at])
		at += 1 + message[at];
	if (at + 5 > length)
		return 0;
	*type = message[at + 1] << 8 | message[at + 2];
	return at + 5;
}

/* Turns a query into its answer in place; its length, 0 = none. */
static int answer(unsigned char *message, int length)
{
	unsigned int number;
	int type, at = read_question(message, length, &number, &type);

	if (!at || (type != TYPE_A && type != TYPE_AAAA))
		return 0;
	message[2] |= 0x80;
	message[3] = 0x80;
	memset(message + 6, 0, 6);
	message[7] = 1;
	memcpy(message + at, "\xc0\x0c\0\0\0\1\0\0\0\x3c\0", 11);
	message[at + 3] = type;
	if (type == TYPE_A) {
		struct in_addr address = { htonl(ntohl(base4.s_addr) + number) };

		message[at + 11] = sizeof(address);
		memcpy(message + at + 12, &address, sizeof(address));
		return at + 12 + sizeof(address);
	} else {
		struct in6_addr address = base6;

		address.s6_addr32[3] = htonl(ntohl(base6.s6_addr32[3]) + number);
		message[at + 11] = sizeof(address);
		memcpy(message + at + 12, &address, sizeof(address));
		return at + 12 + sizeof(address);
	}
}

int main(int argc, char **argv)
{
	static unsigned char queries[BATCH][QUERY_BYTES + RECORD_BYTES];
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(53) }, from[BATCH];
	struct sigaction action = { .sa_handler = end };
	struct mmsghdr received[BATCH], sent[BATCH];
	struct iovec parts[BATCH];
	int fd, room = 8 << 20;
	long long count = 0;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &local.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[2], &base4) != 1 || inet_pton(AF_INET6, argv[3], &base6) != 1)
		return 2;
	sigaction(SIGTERM, &action, NULL);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *)&local, sizeof(local))) {
		perror(argv[1]);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (!is_over) {
		int n, ready = 0;

		for (int i = 0; i < BATCH; i++) {
			parts[i] = (struct iovec){ queries[i], QUERY_BYTES };
			received[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
							       .msg_namelen = sizeof(from[i]),
							       .msg_iov = &parts[i],
							       .msg_iovlen = 1 };
		}
		n = recvmmsg(fd, received, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++) {
			int length = answer(queries[i], received[i].msg_len);

			if (!length)
				continue;
			parts[i].iov_len = length;
			sent[ready++].msg_hdr = received[i].msg_hdr;
		}
		for (int done = 0; done < ready;) {
			int more = sendmmsg(fd, sent + done, ready - done, 0);

			count += more > 0 ? more : 0;
			done += more > 0 ? more : 1;
		}
	}
	printf("answered %lld\n", count);
	return 0;
}
