/**
 * The user that HAProxy runs as. Never root: HAProxy reads what strangers send. When anyhop is root, HAProxy becomes this user
 * before it starts; otherwise HAProxy runs as anyhop's own user.
 */
import { AnyhopError } from '../../core/errors.js';
import { type RunTool, runTool } from '../../core/tool.js';

export interface Identity {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * @returns undefined when anyhop is not root, and HAProxy runs as the same user
 * @throws AnyhopError ERR_HAPROXY when there is no such user, or it is root
 */
export async function findIdentity(name: string, run: RunTool = runTool): Promise<Identity | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const { code, stdout } = await run('getent', ['--', 'passwd', name]);
  const [, , uid = '', gid = ''] = stdout.split(':');
  if (code !== 0 || !isNumber(uid) || !isNumber(gid)) {
    throw new AnyhopError('ERR_HAPROXY', `there is no user ${name} for HAProxy to run as`, {
      hint: `Install the package haproxy, which makes the user haproxy, or make one: useradd --system ${name}`,
    });
  }
  if (Number(uid) === 0 || Number(gid) === 0)
    throw new AnyhopError('ERR_HAPROXY', `HAProxy must not run as ${name}, which is root or in its group`);
  return { name, uid: Number(uid), gid: Number(gid) };
}

function isNumber(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text);
}
