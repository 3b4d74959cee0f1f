/** Reads and compiles lists in a thread of its own: a million prefixes take a second or two. */
import { parentPort } from 'node:worker_threads';
import { reasonOf } from '../core/reason.js';
import { compileLists } from './compile.js';
import { readList } from './files.js';
import type { FromWorker, ToWorker } from './mail.js';

const port = parentPort!;
const tell = (mail: FromWorker): void => port.postMessage(mail);

port.on('message', (mail: ToWorker) => {
  try {
    if ('paths' in mail) tell({ lists: mail.paths.map(readList) });
    else tell({ memory: compileLists(mail.input) });
  } catch (error) {
    tell({ failed: reasonOf(error) });
  }
});
