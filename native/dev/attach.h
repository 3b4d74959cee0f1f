/* SPDX-License-Identifier: MIT
 * What scripts/native calls; described in attach.c. */
#ifndef ANYHOP_DEV_ATTACH_H
#define ANYHOP_DEV_ATTACH_H

int anyhop_dev_namespace(void);
int anyhop_dev_enter(const char *path);
int anyhop_dev_return(int origin);
int anyhop_dev_attach(const char *interface, int object, const char *program);
int anyhop_dev_replace(int attached, int object, const char *program);
int anyhop_dev_detach(int attached);
int anyhop_dev_take_off(const char *interface);

#endif
