/** The program that call.ts starts: `call-program.js MODULE FUNCTION FILE` calls the function with the file's JSON and prints its result. */
import { readFileSync } from 'node:fs';
import type { CallContext } from './call.js';

const [module = '', name = '', file = ''] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());
const print = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
const context: CallContext = { stop: stop.signal, print };

const called = (await import(module))[name];
const result = await called(JSON.parse(readFileSync(file, 'utf8')), context);
// Connections that are still open do not matter any more.
process.stdout.write(`${JSON.stringify({ result })}\n`, () => process.exit(0));
