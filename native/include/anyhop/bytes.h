/* SPDX-License-Identifier: Dual MIT/GPL
 *
 * Loads and stores of packet memory, for the host and for BPF alike.
 *
 * "Raw" means as it lies in memory: addresses and ports are compared, hashed and copied without a swap. Everything
 * else is in network order, and its name ends in `be`. Packet memory has no alignment: the host's compiler is told so; BPF's
 * would then go byte by byte, and the kernels that the programs run on (x86, arm64) take any address.
 */
#ifndef ANYHOP_BYTES_H
#define ANYHOP_BYTES_H

#include <linux/types.h>

#define anyhop_inline static inline __attribute__((always_inline))
#define anyhop_likely(condition) __builtin_expect(!!(condition), 1)
#define anyhop_unlikely(condition) __builtin_expect(!!(condition), 0)

/* A function that few packets need stays out of the way of the others. (`cold` would put it in a section of its own, and
 * libbpf takes functions from .text alone.) */
#ifdef __bpf__
#define anyhop_rare static __attribute__((noinline, unused))
#define ANYHOP_ANYWHERE __attribute__((may_alias))
#else
#define anyhop_rare static __attribute__((noinline, cold, unused))
#define ANYHOP_ANYWHERE __attribute__((may_alias, aligned(1)))
#endif

typedef __u16 ANYHOP_ANYWHERE anyhop_raw16;
typedef __u32 ANYHOP_ANYWHERE anyhop_raw32;
typedef __u64 ANYHOP_ANYWHERE anyhop_raw64;

anyhop_inline __u16 anyhop_get16(const void *p)
{
	return *(const anyhop_raw16 *)p;
}

anyhop_inline __u32 anyhop_get32(const void *p)
{
	return *(const anyhop_raw32 *)p;
}

anyhop_inline __u64 anyhop_get64(const void *p)
{
	return *(const anyhop_raw64 *)p;
}

anyhop_inline __u32 anyhop_get16be(const void *p)
{
	return __builtin_bswap16(anyhop_get16(p));
}

anyhop_inline void anyhop_put16(void *p, __u32 raw)
{
	*(anyhop_raw16 *)p = (__u16)raw;
}

anyhop_inline void anyhop_put32(void *p, __u32 raw)
{
	*(anyhop_raw32 *)p = raw;
}

anyhop_inline void anyhop_put64(void *p, __u64 raw)
{
	*(anyhop_raw64 *)p = raw;
}

anyhop_inline void anyhop_put16be(void *p, __u32 value)
{
	anyhop_put16(p, __builtin_bswap16((__u16)value));
}

anyhop_inline void anyhop_put32be(void *p, __u32 value)
{
	anyhop_put32(p, __builtin_bswap32(value));
}

#endif
