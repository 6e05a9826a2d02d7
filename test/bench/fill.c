// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The least that filling a trie of prefixes takes: a loop of batch updates over
 * entries that lie ready in memory.
 *
 * usage: fill FILE COUNT KEY_BYTES VALUE_BYTES; FILE has all keys, then all values.
 * Writes the nanoseconds that the loop took.
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH 10000

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_map_create_opts, no_prealloc, .map_flags = BPF_F_NO_PREALLOC);
	LIBBPF_OPTS(bpf_map_batch_opts, batch);
	size_t count, key_bytes, value_bytes, bytes;
	long long started;
	char *entries;
	FILE *file;
	int map;

	if (argc != 5)
		return 2;
	count = strtoul(argv[2], NULL, 10);
	key_bytes = strtoul(argv[3], NULL, 10);
	value_bytes = strtoul(argv[4], NULL, 10);
	bytes = count * (key_bytes + value_bytes);
	entries = malloc(bytes);
	file = fopen(argv[1], "r");
	if (!entries || !file || fread(entries, 1, bytes, file) != bytes) {
		perror(argv[1]);
		return 1;
	}
	map = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "fill", key_bytes, value_bytes, count,
			     &no_prealloc);
	if (map < 0) {
		perror("bpf_map_create");
		return 1;
	}
	started = now_ns();
	for (size_t done = 0; done < count; done += BATCH) {
		__u32 n = count - done < BATCH ? count - done : BATCH;

		if (bpf_map_update_batch(map, entries + done * key_bytes,
					 entries + count * key_bytes + done * value_bytes, &n,
					 &batch)) {
			perror("bpf_map_update_batch");
			return 1;
		}
	}
	printf("%lld\n", now_ns() - started);
	return 0;
}
