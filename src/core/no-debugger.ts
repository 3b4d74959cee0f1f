/**
 * Keeps Node's debugger closed in a process that holds the fleet's key: `kill -USR1` would open it to everyone who can reach
 * 127.0.0.1, and so would `--inspect` in NODE_OPTIONS. Imported first, for its effect.
 *
 * Before this file runs, and while Node starts, the first line of anyhop.ts keeps it closed: it removes NODE_OPTIONS from the
 * environment, and gives the debugger a multicast address, on which no socket can listen. (`--disable-sigusr1` does the same, but
 * only from Node 22.14 on.) A developer can still use --inspect on the command line.
 */
import inspector from 'node:inspector';

const ASKED_FOR = /^--inspect(-brk|-wait)?(=|$)/;

if (!process.execArgv.some((option) => ASKED_FOR.test(option))) {
  process.on('SIGUSR1', () => undefined);
  if (inspector.url() !== undefined) inspector.close();
}
