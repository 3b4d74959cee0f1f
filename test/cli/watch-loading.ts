/**
 * Loaded before a program (node --import): each of its modules is named on standard error, and when the file is loaded that HANGUP_AT
 * ends with, the program gets a SIGHUP.
 */
import { register } from 'node:module';

const hooks = `import { writeSync } from 'node:fs';
export async function load(url, context, next) {
  writeSync(2, 'loads ' + url + '\\n');
  if (url.endsWith(${JSON.stringify(process.env['HANGUP_AT'] ?? ' ')})) process.kill(process.pid, 'SIGHUP');
  return next(url, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
