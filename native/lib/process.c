/* SPDX-License-Identifier: MIT
 *
 * What this process shows of itself.
 */
#include <errno.h>
#include <sys/prctl.h>

#include "error.h"

/* No core dumps, and no debugger of the same user: the memory holds the fleet's key. Lasts until an exec, so programs that are
 * started are not concerned. Files under /proc of this process belong to root from then on. */
int anyhop_forbid_dumps(void)
{
	anyhop_error_start();
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? anyhop_error_is(-errno, "no dumps") : 0;
}
