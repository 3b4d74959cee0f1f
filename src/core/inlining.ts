/**
 * Raises V8's limits on inlining, so that the whole pipeline becomes one piece of machine code: it is written as a dozen
 * functions of a screen each, some of them above the usual limit of 460 bytecodes. 72 ns a packet become 59
 * (bench/pipeline.ts). With 8000 bytecodes in all instead of 12000, IPv6 falls out: 117 ns become 140.
 *
 * Importing this module raises the limits for code that gets hot afterwards. V8 reads the flags at each compilation, and
 * ignores those that it does not know.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--max-inlined-bytecode-size=3000');
setFlagsFromString('--max-inlined-bytecode-size-cumulative=12000');
