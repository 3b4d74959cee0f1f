/** `--write`: the config file of a node with one backend more or less, and everything else of it as it was. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import type { PlanReport } from '../api/api.js';
import type { NodeStatus } from '../api/status.js';
import { editedText } from '../config/edit/edit.js';
import type { BackendEdit } from '../config/edit/wanted.js';
import { checkText } from '../config/text.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import { ask, tell } from './control-client.js';

const BYTE_ORDER_MARK = '\ufeff';
const MODE = 0o777;
const ROOT = 0;

/**
 * Makes sure that the file can be edited, and is what the node has in force, before anything changes.
 * @returns writes it, and resolves to its path
 * @throws AnyhopError ERR_USAGE when the file is not what is in force, or cannot be read; ConfigError when it cannot be edited
 */
export async function prepareWrite(socket: string, edit: BackendEdit): Promise<() => Promise<string>> {
  const { config } = (await ask(socket, '/status')) as NodeStatus;
  const plan = (await tell(socket, '/plan', {})) as PlanReport;
  const differs = plan.changes.length > 0 || plan.pools.some(({ effect }) => effect !== 'unchanged');
  if (differs)
    throw new AnyhopError('ERR_USAGE', `${config.file} is not what the node has in force`, {
      hint: '`anyhop plan` shows what differs: reload or mend it, or leave out --write.',
    });
  // A link stays, and the file that it leads to is written.
  const [path, before] = reading(config.file, () => {
    const real = realpathSync(config.file);
    return [real, readFileSync(real, 'utf8')] as const;
  });
  const mark = before.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : '';
  const text = checkText(before);
  if (typeof text !== 'string') throw new AnyhopError('ERR_USAGE', `${path}: ${text.message}`);
  const after = mark + editedText(text, path, edit);
  return async () => {
    const { uid, gid, mode } = reading(path, () => statSync(path));
    if (uid !== process.geteuid?.() && process.geteuid?.() !== ROOT)
      throw unwritten(path, `it belongs to another user (${uid})`);
    if (reading(path, () => readFileSync(path, 'utf8')) !== before)
      throw unwritten(path, 'somebody has changed it meanwhile');
    try {
      if (after !== before) await replaceOwnFile(path, after, { owner: uid, group: gid, mode: mode & MODE });
    } catch (error) {
      throw unwritten(path, reasonOf(error));
    }
    await tell(socket, '/reload', { force: false }); // it says what is in force, and from now on nothing lies over it
    return path;
  };
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AnyhopError('ERR_USAGE', `${file}: ${reasonOf(error)}`);
  }
}

function unwritten(path: string, why: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', `${path} was not written: ${why}`, {
    exitCode: EXIT.failure,
    hint: 'The node has the change all the same, also over a restart; write it into the file by hand.',
  });
}
