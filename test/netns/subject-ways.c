/* Attempts of subject-probe by calls that are not plain ones: they all end in a packet. */
#define _GNU_SOURCE
#include "subject-probe.h"
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MSG_ZERO_COPY 0x4000000
#define ZERO_COPY 60
#define SEGMENT_ROUTING 4

int try_again(int fd, int family)
{
	struct target own = target_of(family, family == AF_INET ? "0.0.0.0" : "::", "0");
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int failure;

	/* The port stays its own over connect(AF_UNSPEC). */
	if (bind(fd, (void *)&own.address, own.length))
		return errno;
	failure = call(fd, target_of(family, arguments[0], arguments[1]));
	if (failure || connect(fd, &none, sizeof(none)))
		return failure ? failure : errno;
	return call(fd, target_of(family, arguments[2], arguments[1]));
}

int try_zero_copy(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);
	struct timeval limit = { .tv_usec = SILENCE_MS * 1000 };
	static char text[4096] __attribute__((aligned(4096)));
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, ZERO_COPY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)))
		return errno;
	if (sendto(fd, text, 1000, MSG_ZERO_COPY, (void *)&to.address, to.length) < 0)
		return errno;
	/* Not by poll: it also tells that the pages are free again. */
	return recv(fd, text, sizeof(text), 0) < 0 ? errno : 0;
}

int try_splice(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);
	int ends[2];

	if (connect(fd, (void *)&to.address, to.length) || pipe(ends) ||
	    write(ends[1], "l7egg", 5) != 5 || splice(ends[0], NULL, fd, NULL, 5, 0) < 0)
		return errno;
	return hear(fd);
}

/* Has the kernel do one thing by a ring of its own (io_uring_setup(2)). Answers its result, or -errno. */
static int by_ring(const struct io_uring_sqe *work)
{
	struct io_uring_params params = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, &params);
	int shared = PROT_READ | PROT_WRITE;
	char *queue;
	struct io_uring_sqe *slots;
	struct io_uring_cqe *done;

	if (ring < 0)
		return -errno;
	/* One mapping has both queues (IORING_FEAT_SINGLE_MMAP, since 5.4). */
	queue = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*done), shared,
		     MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	slots = mmap(NULL, sizeof(*slots), shared, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	if (queue == MAP_FAILED || slots == MAP_FAILED)
		return -errno;
	*slots = *work;
	*(__u32 *)(queue + params.sq_off.array) = 0;
	__atomic_store_n((__u32 *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	done = (void *)(queue + params.cq_off.cqes);
	return done->res;
}

int try_ring_send(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);
	struct iovec text = { .iov_base = "l7egg", .iov_len = 5 };
	struct msghdr message = { .msg_name = &to.address,
				  .msg_namelen = to.length,
				  .msg_iov = &text,
				  .msg_iovlen = 1 };
	int result = by_ring(&(struct io_uring_sqe){
		.opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (unsigned long)&message, .len = 1 });

	return result < 0 ? -result : hear(fd);
}

int try_ring_connect(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);
	int result = by_ring(&(struct io_uring_sqe){ .opcode = IORING_OP_CONNECT,
						     .fd = fd,
						     .addr = (unsigned long)&to.address,
						     .off = to.length });

	return -result;
}

/* RFC 791 3.1: the kernel sends to the hop, with the target as what is still ahead. */
static int route4(int fd)
{
	unsigned char option[8] = { IPOPT_LSRR, 7, 4, 0, 0, 0, 0, IPOPT_EOL };

	inet_pton(AF_INET, arguments[2], option + 3);
	return setsockopt(fd, IPPROTO_IP, IP_OPTIONS, option, sizeof(option));
}

/* RFC 8754 2: the first segment is the last of the list; the kernel fills in the target. */
static int route6(int fd)
{
	struct {
		unsigned char next, length, type, left, first, flags, tag[2];
		struct in6_addr segments[2];
	} route = { .length = 4, .type = SEGMENT_ROUTING, .left = 1, .first = 1 };

	inet_pton(AF_INET6, arguments[2], &route.segments[1]);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &route, sizeof(route));
}

int try_route(int fd, int family)
{
	struct target to = target_of(family, arguments[0], arguments[1]);

	if (family == AF_INET ? route4(fd) : route6(fd))
		return errno;
	return say(fd, to, "l7egg", 5);
}
