/**
 * Raises V8's limits on inlining, so that the whole pipeline becomes one piece of machine code. It consists of a dozen functions
 * of a screen each, and the largest, `encapsulate`, is above the usual limit of 460 bytecodes. 72 ns a packet become 59
 * (bench/pipeline.ts).
 *
 * Import this module before the code gets hot. V8 reads the flags at each compilation, and ignores flags that it does not know.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--max-inlined-bytecode-size=3000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=8000');
