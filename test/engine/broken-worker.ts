/** Loaded before a program (node --import): no worker thread can be started, the last thing but one that a start needs. */
import { syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

threads.Worker = class {
  constructor() {
    throw new Error('no worker today');
  }
} as unknown as typeof threads.Worker;
syncBuiltinESMExports();
