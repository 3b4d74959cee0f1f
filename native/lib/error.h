/* SPDX-License-Identifier: MIT
 * The text of the last failure; see error.c. */
#ifndef ANYHOP_LIB_ERROR_H
#define ANYHOP_LIB_ERROR_H

void anyhop_error_start(void);
int anyhop_error_is(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
