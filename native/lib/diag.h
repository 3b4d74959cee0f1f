/* SPDX-License-Identifier: MIT
 * The kernel's socket tables; see diag.c. */
#ifndef ANYHOP_LIB_DIAG_H
#define ANYHOP_LIB_DIAG_H

#include <linux/inet_diag.h>
#include <linux/netlink.h>

/* Called for each socket; attributes follow it, up to the end of the message. */
typedef void anyhop_diag_take(const struct inet_diag_msg *socket, const struct nlmsghdr *message, void *context);

int anyhop_diag_walk(const struct nlmsghdr *request, anyhop_diag_take *take, void *context);

#endif
