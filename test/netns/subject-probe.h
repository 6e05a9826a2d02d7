/* What the attempts of subject-probe have in common. Define _GNU_SOURCE before. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENCE_MS 500

/* Those of the attempt. */
extern char **arguments;

struct target {
	struct sockaddr_storage address;
	socklen_t length;
};

static inline struct target target_of(int family, const char *address, const char *port)
{
	struct target target = { .length = family == AF_INET ? sizeof(struct sockaddr_in) :
							       sizeof(struct sockaddr_in6) };
	struct sockaddr_in *v4 = (void *)&target.address;
	struct sockaddr_in6 *v6 = (void *)&target.address;
	int read;

	target.address.ss_family = family;
	if (family == AF_INET) {
		v4->sin_port = htons(atoi(port));
		read = inet_pton(AF_INET, address, &v4->sin_addr);
	} else {
		v6->sin6_port = htons(atoi(port));
		read = inet_pton(AF_INET6, address, &v6->sin6_addr);
	}
	if (read == 1)
		return target;
	fprintf(stderr, "Cannot read the address \"%s\"\n", address);
	exit(2);
}

/* 0, or an errno; EAGAIN stands for silence. */
static inline int until(int fd, short events)
{
	struct pollfd one = { .fd = fd, .events = events };
	socklen_t length = sizeof(int);
	int failure = 0;

	if (poll(&one, 1, SILENCE_MS) == 0)
		return EAGAIN;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length);
	return failure;
}

static inline int call(int fd, struct target to)
{
	if (connect(fd, (void *)&to.address, to.length) == 0)
		return 0;
	return errno == EINPROGRESS ? until(fd, POLLOUT) : errno;
}

static inline int hear(int fd)
{
	char heard[2048];
	int failure = until(fd, POLLIN);

	if (failure)
		return failure;
	return recv(fd, heard, sizeof(heard), 0) < 0 ? errno : 0;
}

static inline int say(int fd, struct target to, const void *text, size_t length)
{
	if (sendto(fd, text, length, MSG_NOSIGNAL, (void *)&to.address, to.length) < 0)
		return errno;
	return hear(fd);
}

/* Attempts by calls that are not plain ones: subject-ways.c. Each answers 0, or an errno; EAGAIN stands for silence. */
int try_again(int fd, int family);
int try_zero_copy(int fd, int family);
int try_splice(int fd, int family);
int try_ring_send(int fd, int family);
int try_ring_connect(int fd, int family);
int try_route(int fd, int family);
