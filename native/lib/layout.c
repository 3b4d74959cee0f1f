/* SPDX-License-Identifier: MIT
 *
 * The layouts of the image and of all maps, and the verdicts, as text.
 *
 * scripts/generate-layout.sh turns the text into src/core/layout.gen.ts. At run time TypeScript compares its digest with the library's, so
 * both come from the same headers.
 */
#include <stddef.h>
#include <stdio.h>

#include "anyhop/agent.h"
#include "anyhop/budget.h"
#include "anyhop/capture.h"
#include "anyhop/cookie.h"
#include "anyhop/defend.h"
#include "anyhop/image.h"
#include "anyhop/syn.h"
#include "anyhop/lists.h"
#include "anyhop/sketch.h"
#include "anyhop/verdict.h"
#include "anyhop/xdp.h"
#include "layout.h"

/* Writes the text into out (size bytes) and returns its length without the closing NUL, or -1 when it does
 * not fit. Lines: "const NAME value", "size STRUCT bytes", "field STRUCT NAME offset",
 * "verdict NAME ACTION text", "agentverdict NAME ACTION text", "agentcookie NAME text". */
int anyhop_layout(char *out, int size)
{
	int used = 0;

#define SAY(...) \
	do { \
		int n = snprintf(out + used, (size_t)(size - used), __VA_ARGS__); \
		if (n < 0 || n >= size - used) \
			return -1; \
		used += n; \
	} while (0)
#define C(name) SAY("const %s %u\n", #name, (unsigned)ANYHOP_##name);
	ANYHOP_CONSTANTS(C)
	ANYHOP_BUDGET_CONSTANTS(C)
	ANYHOP_XDP_CONSTANTS(C)
	ANYHOP_AGENT_CONSTANTS(C)
	ANYHOP_CAPTURE_CONSTANTS(C)
	ANYHOP_DEFEND_CONSTANTS(C)
	ANYHOP_COOKIE_CONSTANTS(C)
	ANYHOP_SYN_CONSTANTS(C)
	ANYHOP_LISTS_CONSTANTS(C)
	ANYHOP_SKETCH_CONSTANTS(C)
#undef C
#define S(type) SAY("size %s %zu\n", #type, sizeof(struct anyhop_##type));
#define F(type, name) SAY("field %s %s %zu\n", #type, #name, offsetof(struct anyhop_##type, name));
	ANYHOP_STRUCTS(S, F)
	ANYHOP_BUDGET_STRUCTS(S, F)
	ANYHOP_XDP_STRUCTS(S, F)
	ANYHOP_AGENT_STRUCTS(S, F)
	ANYHOP_CAPTURE_STRUCTS(S, F)
	ANYHOP_DEFEND_STRUCTS(S, F)
	ANYHOP_COOKIE_STRUCTS(S, F)
	ANYHOP_LISTS_STRUCTS(S, F)
	ANYHOP_SKETCH_STRUCTS(S, F)
#undef S
#undef F
#define V(name, action, text) SAY("verdict %s %s %s\n", #name, #action, text);
	ANYHOP_VERDICTS(V)
#undef V
#define V(name, action, text) SAY("agentverdict %s %s %s\n", #name, #action, text);
	ANYHOP_AGENT_VERDICTS(V)
#undef V
#define V(name, text) SAY("agentcookie %s %s\n", #name, text);
	ANYHOP_AGENT_COOKIES(V)
#undef V
#undef SAY
	return used;
}

#ifdef ANYHOP_LAYOUT_MAIN
int main(void)
{
	static char text[32768];

	if (anyhop_layout(text, sizeof(text)) < 0)
		return 1;
	return fputs(text, stdout) < 0;
}
#endif
