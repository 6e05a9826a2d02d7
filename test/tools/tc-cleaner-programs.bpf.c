/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int l7egg_probe(struct __sk_buff *skb)
{
	return -1;
}

SEC("tc")
int stranger(struct __sk_buff *skb)
{
	return -1;
}

char object_license[] SEC("license") = "Dual BSD/GPL";
