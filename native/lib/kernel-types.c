/* SPDX-License-Identifier: MIT
 *
 * What the running kernel has, by its own description of its types and functions (BTF): a version says less, since distributions carry
 * functions back and leave others out.
 */
#include <errno.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "bpf.h"
#include "error.h"

/* Whether the kernel has a function: 1 or 0. `types` is a file with BTF in the kernel's place, or empty. */
int anyhop_kernel_function(const char *types, const char *name)
{
	struct btf *btf = *types ? btf__parse(types, NULL) : btf__load_vmlinux_btf();
	int error = btf ? 0 : -errno;
	int found;

	anyhop_error_start();
	if (error)
		return anyhop_error_is(error, "the kernel's description of its types (BTF)");
	found = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	btf__free(btf);
	return found > 0;
}
