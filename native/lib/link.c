/* SPDX-License-Identifier: MIT
 *
 * A program of XDP or tc on an interface by a BPF link (Linux 5.9). The link keeps other programs of XDP off, and its program is replaced in one step,
 * without a gap and without a reset of the network card. A link lives as long as a descriptor or a pin of it.
 */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include "bpf.h"
#include "error.h"

/* Younger than the headers of Debian 12. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define LINK_TYPE_TCX 11

static __u32 mode_flags(int mode)
{
	return mode == 1 ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

/* Only netlink reports the driver's reason ("Peer MTU is too large to set XDP"). So the program is attached again by netlink, and
 * detached should that work. */
static void ask_for_words(int program, int interface, int mode)
{
	__u32 flags = mode_flags(mode);

	if (!bpf_xdp_attach(interface, program, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL))
		bpf_xdp_detach(interface, flags, NULL);
}

/* Attaches a program to an interface that has none; mode 1 is native (in the driver), 2 generic (before the stack). Returns the
 * link's descriptor. */
int anyhop_link_create(int program, int interface, int mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode_flags(mode));
	int link = bpf_link_create(program, interface, BPF_XDP, &options);
	int error = -errno;

	anyhop_error_start();
	if (link >= 0)
		return link;
	if (error != -EBUSY && error != -EEXIST)
		ask_for_words(program, interface, mode);
	return anyhop_error_is(error, "%s XDP", mode == 1 ? "native" : "generic");
}

/* Attaches a program of tc to what an interface receives, before the qdiscs and filters of others, which stay (TCX, Linux 6.6).
 * Returns the link's descriptor. */
int anyhop_link_ingress(int program, int interface)
{
	LIBBPF_OPTS(bpf_link_create_opts, options);
	int link = bpf_link_create(program, interface, ATTACH_TCX_INGRESS, &options);

	anyhop_error_start();
	return link < 0 ? anyhop_error_is(-errno, "a program at tc ingress") : link;
}

/* Replaces the program behind the link in one step: each packet meets one or the other. */
int anyhop_link_update(int link, int program)
{
	LIBBPF_OPTS(bpf_link_update_opts, options);

	anyhop_error_start();
	return bpf_link_update(link, program, &options) ? anyhop_error_is(-errno, "exchanging the program") : 0;
}

/* The program's id and the interface's index, as two __u32 at out; the index is 0 when the interface is gone or the link has
 * been detached. */
int anyhop_link_info(int link, __u8 *out)
{
	struct bpf_link_info info = {};
	__u32 size = sizeof(info);

	anyhop_error_start();
	if (bpf_obj_get_info_by_fd(link, &info, &size))
		return anyhop_error_is(-errno, "link information");
	if (info.type != BPF_LINK_TYPE_XDP && info.type != LINK_TYPE_TCX)
		return anyhop_error_is(-EINVAL, "a link that is neither XDP's nor of tc");
	memcpy(out, &info.prog_id, 4); /* the index stands in the same place for both kinds */
	memcpy(out + 4, &info.xdp.ifindex, 4);
	return 0;
}

/* Takes the program off the interface, whoever else holds the link. */
int anyhop_link_detach(int link)
{
	anyhop_error_start();
	return bpf_link_detach(link) ? anyhop_error_is(-errno, "detaching the program") : 0;
}
