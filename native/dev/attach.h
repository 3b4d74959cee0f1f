/* SPDX-License-Identifier: MIT
 * What scripts/native calls; described in attach.c. */
#ifndef ANYHOP_DEV_ATTACH_H
#define ANYHOP_DEV_ATTACH_H

int anyhop_dev_namespace(void);
int anyhop_dev_enter(const char *path);
int anyhop_dev_return(int origin);
int anyhop_dev_interface(const char *name);
int anyhop_dev_take_off(const char *interface);

#endif
