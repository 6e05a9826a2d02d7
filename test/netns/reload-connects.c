// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Connects as fast as it can, by turns, to addresses that have to answer and to addresses that have to be refused:
 *
 *   reload-connects PORT ALLOWED[,ALLOWED]… BLOCKED[,BLOCKED]…
 *   reload-connects PORT    is the other end: accepts, and waits for the reset
 *
 * Until SIGTERM; then prints {"allowed":…,"blocked":…,"failed":…,"passed":…,"ms":…,"worstUs":…,"first":"…"}: connects
 * that went as they should, allowed ones that did not, blocked ones that did, and what the first failure was.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 8

static volatile sig_atomic_t is_over;

static void end(int signal)
{
	(void)signal;
	is_over = 1;
}

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* A reset leaves no TIME-WAIT, of which there is only room for so many. */
static void drop(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static int parse(char *list, int port, struct sockaddr_in *into)
{
	int count = 0;

	for (char *text = strtok(list, ","); text && count < MOST; text = strtok(NULL, ",")) {
		into[count].sin_family = AF_INET;
		into[count].sin_port = htons(port);
		if (inet_pton(AF_INET, text, &into[count++].sin_addr) != 1)
			exit(2);
	}
	return count;
}

/* 0 = connected, else errno. */
static int try(struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error;

	if (fd < 0)
		return errno;
	error = connect(fd, (struct sockaddr *)to, sizeof(*to)) ? errno : 0;
	drop(fd);
	return error;
}

static int serve(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		return 1;
	puts("listening");
	fflush(stdout);
	while (!is_over) {
		int accepted = accept(fd, NULL, NULL);
		char byte;

		if (accepted < 0)
			continue;
		/* The client is the first to end: a reset could be there before its connect() has returned. */
		while (read(accepted, &byte, 1) > 0)
			;
		close(accepted);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = end };
	struct sockaddr_in allowed[MOST] = {}, blocked[MOST] = {};
	unsigned long good = 0, refused = 0, failed = 0, passed = 0;
	long long started, before, took, worst = 0;
	int n_allowed, n_blocked, error;
	char first[64] = "";

	sigaction(SIGTERM, &action, NULL);
	if (argc == 2)
		return serve(atoi(argv[1]));
	if (argc != 4)
		return 2;
	n_allowed = parse(argv[2], atoi(argv[1]), allowed);
	n_blocked = parse(argv[3], atoi(argv[1]), blocked);
	puts("going");
	fflush(stdout);
	started = now_us();
	for (unsigned long round = 0; !is_over; round++) {
		before = now_us();
		error = try(&allowed[round % n_allowed]);
		took = now_us() - before;
		if (took > worst)
			worst = took;
		if (!error)
			good++;
		else if (error != EINTR && !failed++)
			snprintf(first, sizeof(first), "allowed %s: %s",
				 inet_ntoa(allowed[round % n_allowed].sin_addr), strerror(error));
		error = try(&blocked[round % n_blocked]);
		/* ECONNABORTED: its cgroup came to be judged between connect() and the SYN, so the socket was ended. */
		if (error == ECONNREFUSED || error == EPERM || error == ECONNABORTED)
			refused++;
		else if (error != EINTR && !passed++ && !failed)
			snprintf(first, sizeof(first), "blocked %s: %s",
				 inet_ntoa(blocked[round % n_blocked].sin_addr), strerror(error));
	}
	printf("{\"allowed\":%lu,\"blocked\":%lu,\"failed\":%lu,\"passed\":%lu,\"ms\":%lld,\"worstUs\":%lld,\"first\":\"%s\"}\n",
	       good, refused, failed, passed, (now_us() - started) / 1000, worst, first);
	return 0;
}
