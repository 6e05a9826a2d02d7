// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sends the same datagrams out of several network namespaces, in turns, and
 * writes what each packet costs of this thread's CPU time.
 *
 * usage: sender udp|packet ROUNDS PACKETS NETNS... <DESTINATIONS
 *   udp     through the IP stack, from an unconnected socket
 *   packet  frames straight to the device, as a packet socket sends them
 * DESTINATIONS are IPv4 addresses, one a line; each NETNS has an eth0. Rounds
 * visit the namespaces in random order. Writes a line a round: the nanoseconds
 * per packet in each namespace, in the order of the arguments.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define PAYLOAD 64
#define MAX_DESTINATIONS 1024
#define MAX_SENDERS 16
#define SOURCE_PORT 40000
#define PORT 443

struct frame {
	struct ether_header ethernet;
	struct iphdr ip;
	struct udphdr udp;
	char payload[PAYLOAD];
} __attribute__((packed));

static struct sockaddr_in destinations[MAX_DESTINATIONS];
static struct frame frames[MAX_DESTINATIONS];
static struct mmsghdr messages[MAX_DESTINATIONS];
static struct iovec parts[MAX_DESTINATIONS];
static char payload[PAYLOAD];
static int n_destinations;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void read_destinations(void)
{
	char address[INET_ADDRSTRLEN];

	while (n_destinations < MAX_DESTINATIONS && scanf("%15s", address) == 1) {
		struct sockaddr_in *to = &destinations[n_destinations++];

		to->sin_family = AF_INET;
		to->sin_port = htons(PORT);
		if (inet_pton(AF_INET, address, &to->sin_addr) != 1)
			fail(address);
	}
	if (!n_destinations)
		fail("destinations");
}

static unsigned short checksum(const void *header, int bytes)
{
	const unsigned short *words = header;
	unsigned int sum = 0;

	for (int i = 0; i < bytes / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void make_frame(struct frame *frame, const struct sockaddr_in *to)
{
	memset(frame, 0, sizeof(*frame));
	/* To nobody: whoever is at the other end drops it at once. */
	memcpy(frame->ethernet.ether_dhost, "\x02\0\0\0\0\x63", 6);
	memcpy(frame->ethernet.ether_shost, "\x02\0\0\0\0\x01", 6);
	frame->ethernet.ether_type = htons(ETHERTYPE_IP);
	frame->ip.version = 4;
	frame->ip.ihl = 5;
	frame->ip.ttl = 64;
	frame->ip.protocol = IPPROTO_UDP;
	frame->ip.tot_len = htons(sizeof(*frame) - sizeof(frame->ethernet));
	frame->ip.saddr = inet_addr("192.0.2.2");
	frame->ip.daddr = to->sin_addr.s_addr;
	frame->ip.check = checksum(&frame->ip, sizeof(frame->ip));
	frame->udp.source = htons(SOURCE_PORT);
	frame->udp.dest = to->sin_port;
	frame->udp.len = htons(sizeof(frame->udp) + PAYLOAD);
}

static int open_udp(void)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(SOURCE_PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)))
		fail("udp socket");
	for (int i = 0; i < n_destinations; i++) {
		parts[i] = (struct iovec){ payload, sizeof(payload) };
		messages[i].msg_hdr = (struct msghdr){ .msg_name = &destinations[i],
						       .msg_namelen = sizeof(destinations[i]),
						       .msg_iov = &parts[i],
						       .msg_iovlen = 1 };
	}
	return fd;
}

static int open_packet(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */

	at.sll_ifindex = if_nametoindex("eth0");
	at.sll_protocol = 0;
	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail("packet socket");
	for (int i = 0; i < n_destinations; i++) {
		make_frame(&frames[i], &destinations[i]);
		parts[i] = (struct iovec){ &frames[i], sizeof(frames[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	}
	return fd;
}

static long long cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static double send_packets(int fd, int packets)
{
	long long started = cpu_ns();

	for (int sent = 0, at = 0; sent < packets;) {
		int left = n_destinations - at;
		int done = sendmmsg(fd, messages + at, left < BATCH ? left : BATCH, 0);

		if (done <= 0)
			fail("sendmmsg");
		sent += done;
		at = (at + done) % n_destinations;
	}
	return (double)(cpu_ns() - started) / packets;
}

static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

int main(int argc, char **argv)
{
	int fds[MAX_SENDERS], order[MAX_SENDERS], n = argc - 4, rounds, packets;
	double ns[MAX_SENDERS];

	if (n < 1 || n > MAX_SENDERS)
		return 2;
	rounds = atoi(argv[2]);
	packets = atoi(argv[3]);
	read_destinations();
	for (int i = 0; i < n; i++) {
		int netns = open(argv[4 + i], O_RDONLY);

		if (netns < 0 || setns(netns, CLONE_NEWNET))
			fail(argv[4 + i]);
		close(netns);
		fds[i] = strcmp(argv[1], "udp") ? open_packet() : open_udp();
		order[i] = i;
	}
	stay_on_one_cpu();
	srand(1);
	for (int i = 0; i < n; i++)
		send_packets(fds[i], packets);
	for (int round = 0; round < rounds; round++) {
		for (int i = n - 1; i > 0; i--) {
			int other = rand() % (i + 1), kept = order[i];

			order[i] = order[other];
			order[other] = kept;
		}
		for (int i = 0; i < n; i++)
			ns[order[i]] = send_packets(fds[order[i]], packets);
		for (int i = 0; i < n; i++)
			printf("%.1f%c", ns[i], i < n - 1 ? ' ' : '\n');
	}
	return 0;
}
