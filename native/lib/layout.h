/* SPDX-License-Identifier: MIT
 * What src/ffi calls; each function is described where it is defined. */
#ifndef ANYHOP_LIB_LAYOUT_H
#define ANYHOP_LIB_LAYOUT_H

int anyhop_layout(char *out, int size);

#endif
