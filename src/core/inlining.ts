/**
 * Raises V8's limits on inlining, so that the whole pipeline becomes one piece of machine code. It consists of two dozen functions
 * of a screen each, and the largest, `encapsulate`, is above the usual limit of 460 bytecodes: 100 ns a packet become 78. The last
 * limit counts what has been inlined so far. IPv4 and IPv6 together pass it, and then even the smallest functions are called:
 * 95 ns a packet of mixed traffic instead of 138 to 154 (bench/pipeline-c.ts).
 *
 * Import this module before the code gets hot. V8 reads the flags at each compilation, and ignores flags that it does not know.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--max-inlined-bytecode-size=3000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=20000');
setFlagsFromString('--max-inlined-bytecode-size-absolute=20000');
