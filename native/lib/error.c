/* SPDX-License-Identifier: MIT
 *
 * Why the last call failed, in words: what was tried and the system's reason, then the warnings of libbpf.
 *
 * For a refused program, libbpf prints the verifier's whole log, whose end gives the reason. So the text keeps its first and its last
 * lines. There is one text for the process: src/ffi calls from one thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "bpf.h"
#include "error.h"

#define TEXT_MAX 4096
#define HEAD_MAX 1024 /* of libbpf's text, before the gap */

static char what[512];
static char head[HEAD_MAX + 1];
static char tail[TEXT_MAX - HEAD_MAX - sizeof(what)];
static size_t head_used, tail_used;
static int cut;

static void keep(const char *text, size_t size)
{
	size_t first = size < HEAD_MAX - head_used ? size : HEAD_MAX - head_used;

	memcpy(head + head_used, text, first);
	head_used += first;
	text += first;
	size -= first;
	if (size > sizeof(tail)) {
		text += size - sizeof(tail);
		size = sizeof(tail);
		cut = 1;
	}
	if (tail_used + size > sizeof(tail)) {
		size_t gone = tail_used + size - sizeof(tail);

		memmove(tail, tail + gone, tail_used - gone);
		tail_used -= gone;
		cut = 1;
	}
	memcpy(tail + tail_used, text, size);
	tail_used += size;
}

static int on_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	static char text[1 << 20]; /* a verifier log comes in one piece */
	int size;

	if (level != LIBBPF_WARN)
		return 0;
	size = vsnprintf(text, sizeof(text), format, arguments);
	if (size > 0)
		keep(text, (size_t)size < sizeof(text) ? (size_t)size : sizeof(text) - 1);
	return 0;
}

/* Clears the text. Every function that may fail calls it first. */
void anyhop_error_start(void)
{
	what[0] = 0;
	head_used = tail_used = 0;
	cut = 0;
	libbpf_set_print(on_print);
}

/* Sets the text and returns the code, a negative errno or error of libbpf: `return anyhop_error_is(...)`. */
int anyhop_error_is(int code, const char *format, ...)
{
	va_list arguments;
	char reason[128];
	int used;

	libbpf_strerror(code, reason, sizeof(reason)); /* knows errno and libbpf's own numbers */
	va_start(arguments, format);
	used = vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (used > 0 && (size_t)used < sizeof(what))
		snprintf(what + used, sizeof(what) - (size_t)used, ": %s", reason);
	return code;
}

/* Writes the text of the last failure into out (size bytes) and returns its length without the closing NUL; longer
 * text is cut off. Lines after the first are libbpf's. */
int anyhop_error(char *out, int size)
{
	int used = snprintf(out, (size_t)size, "%s\n%.*s%s%.*s", what, (int)head_used, head, cut ? "\n...\n" : "",
			    (int)tail_used, tail);

	return used < size ? used : size - 1;
}
