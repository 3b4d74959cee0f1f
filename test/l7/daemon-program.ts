/** A process that runs HAProxy, for tests that kill it or read its standard output: `node daemon-program.js RUN ADDRESS FILE`. */
import { readFileSync } from 'node:fs';
import { createLog } from '#anyhop/core/log.js';
import { HaproxyDaemon } from '#anyhop/l7/haproxy/haproxy.js';
import { config, rendering } from './haproxy-fixture.js';

const [, , run = '', address = '', file = ''] = process.argv;
const { needs } = config(address);
await HaproxyDaemon.start(
  { run, log: createLog('info', false) },
  { needs, render: rendering(readFileSync(file, 'utf8')) },
);
process.stdout.write('serving\n');
