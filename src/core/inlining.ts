/**
 * Raises V8's limits on inlining, so that the whole pipeline becomes one piece of machine code: it is written as a dozen
 * functions of a screen each, and the largest, `encapsulate`, is above the usual limit of 460 bytecodes. 72 ns a packet
 * become 59 (bench/pipeline.ts).
 *
 * Importing this module does it, for code that gets hot afterwards. The flags are read anew at each compilation; a V8 that
 * does not know them ignores them.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--max-inlined-bytecode-size=3000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=8000');
