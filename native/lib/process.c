/* SPDX-License-Identifier: MIT
 *
 * Protects the memory of this process, which holds the fleet's key.
 */
#include <errno.h>
#include <sys/prctl.h>

#include "error.h"

/* Forbids core dumps, and debuggers of the same user, until an exec. The files under /proc of this process belong to root from then on. */
int anyhop_forbid_dumps(void)
{
	anyhop_error_start();
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? anyhop_error_is(-errno, "no dumps") : 0;
}
