/** Reads, compiles and keeps lists in a thread of its own: a million prefixes take a second or two. */
import { parentPort } from 'node:worker_threads';
import { reasonOf } from '../core/reason.js';
import { compileLists } from './compile.js';
import { readListAtRest } from './files.js';
import { type KeptList, readKeptList, writeKeptList } from './kept-list.js';
import type { FromWorker, ToKeep, ToRead, ToWorker, WasRead } from './mail.js';

const port = parentPort!;

port.on('message', async (mail: ToWorker) => {
  try {
    port.postMessage(await answer(mail));
  } catch (error) {
    port.postMessage({ failed: reasonOf(error) } satisfies FromWorker);
  }
});

async function answer(mail: ToWorker): Promise<FromWorker> {
  if ('read' in mail) return { lists: mail.read.map(read) };
  if ('compile' in mail) return { memory: compileLists(mail.compile) };
  return { kept: await Promise.all(mail.keep.map(keep)) };
}

function read({ path, kept }: ToRead): WasRead {
  const former = kept === undefined ? {} : readFormer(kept, path);
  return { read: readListAtRest(path), ...former };
}

function readFormer(file: string, path: string): { former?: KeptList | undefined; formerProblem?: string } {
  try {
    return { former: readKeptList({ file, path }) };
  } catch (error) {
    return { formerProblem: `${file}: ${reasonOf(error)}` };
  }
}

async function keep(list: ToKeep): Promise<string | undefined> {
  return writeKeptList(list, list).then(() => undefined, reasonOf);
}
