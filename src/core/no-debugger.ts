/**
 * Keeps Node's debugger shut in a process that holds the fleet's key: `kill -USR1` would open it to everybody who can reach
 * 127.0.0.1, and so would `--inspect` in NODE_OPTIONS. Imported before anything else, for its effect.
 *
 * Until this file runs, and while Node itself starts, the first line of main.ts keeps it shut: it takes NODE_OPTIONS out of the
 * environment, and gives the debugger an address that no socket can listen on, a multicast one. (`--disable-sigusr1` says the same,
 * but only from Node 22.14 on.) A developer who names --inspect on the command line gets it.
 */
import inspector from 'node:inspector';

const ASKED_FOR = /^--inspect(-brk|-wait)?(=|$)/;

if (!process.execArgv.some((option) => ASKED_FOR.test(option))) {
  process.on('SIGUSR1', () => undefined);
  if (inspector.url() !== undefined) inspector.close();
}
