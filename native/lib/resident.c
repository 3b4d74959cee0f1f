/* SPDX-License-Identifier: MIT
 *
 * Gives back memory that a process needed only while it started: what malloc() keeps for later, and pages of programs and libraries.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

#define LINE_BYTES 512

/* A mapping, as /proc/self/smaps lists it: this line, then what it has in memory. */
struct mapping {
	uintptr_t start, end;
	unsigned long inode;
	char access[5];
};

/* Whether a line begins the next mapping. */
static int begins_mapping(const char *line, struct mapping *mapping)
{
	struct mapping next; /* other lines begin like a number too: "Anonymous" */

	if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &next.start, &next.end, next.access, &next.inode) != 4)
		return 0;
	*mapping = next;
	return 1;
}

/* A file's, which this process cannot write to. */
static int is_of_file(const struct mapping *mapping)
{
	return mapping->inode && (!strcmp(mapping->access, "r-xp") || !strcmp(mapping->access, "r--p"));
}

/* Every page that is needed again comes back from the page cache, sixteen at a time. Pages that a relocation, a debugger or a probe has
 * changed would not: a mapping with such a page ("Anonymous") stays as it is. */
int anyhop_release_pages(void)
{
	char line[LINE_BYTES];
	struct mapping mapping = {0};
	unsigned long changed_kb;
	FILE *maps;

	anyhop_error_start();
	malloc_trim(0);
	maps = fopen("/proc/self/smaps", "re");
	if (!maps)
		return 0; /* not a fault: they stay */
	while (fgets(line, sizeof(line), maps)) {
		if (begins_mapping(line, &mapping))
			continue;
		if (sscanf(line, "Anonymous: %lu kB", &changed_kb) == 1 && changed_kb == 0 && is_of_file(&mapping))
			madvise((void *)mapping.start, mapping.end - mapping.start, MADV_DONTNEED);
	}
	fclose(maps);
	return 0;
}
