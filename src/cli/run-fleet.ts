/** `anyhop run` on a host whose config is that of its fleet. */
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { keyIdIn } from '../config/edit/key-id.js';
import { revisionDirectory } from '../config/fleet/kept.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import { loadConfigWithText, type RevisionText } from '../config/load.js';
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { fleetDigest } from '../fleet/digest.js';
import type { Follower } from '../fleet/follower.js';
import type { NodeActions } from '../node/actions.js';
import type { ReadConfig } from '../node/config-file.js';
import { runNode } from '../node/run.js';
import { lastGoodConfig } from '../node/state-store.js';
import { requireEthernetLink } from '../underlay/link.js';
import { join, RevisionReader, telling } from './fleet-join.js';
import { askedSiblings } from './fleet-siblings.js';
import { firstConfig, loadOptions, type RunCommandOptions } from './run-config.js';

export async function runInFleet(options: RunCommandOptions, log: Logger): Promise<void> {
  const { config: file, name, stateDir } = options;
  await requireInterface(options);
  const kept = lastGoodConfig(revisionDirectory(file, stateDir), file)?.key;
  const keyOfLast = kept && keyFingerprint(kept.reveal());
  let running: NodeActions | undefined;
  const readBy = (keyInForce: string | undefined, revision: RevisionText): ReadConfig =>
    loadConfigWithText(file, { ...loadOptions(options), keyInForce, revision });
  const read = (revision: RevisionText): ReadConfig => readBy(running?.keys().inForce ?? keyOfLast, revision);
  const { member, first, views, discovery } = await join({
    role: 'forwarder',
    file,
    name,
    stateDir,
    read: (revision) => read(revision).config,
    siblings: (revision) => askedSiblings(read(revision).config.node),
    log,
  });
  let inForce = first;
  const knows = ({ number }: RevisionText): void => {
    if (views !== undefined) views.revision = number;
  };
  knows(first);
  const load = (): ReadConfig => read(inForce);
  const reader = new RevisionReader(read);
  const follow = (actions: NodeActions): void => {
    running = actions;
    member.serve(
      telling({
        prepare: async ({ force }, text) => {
          const { config, waits } = await actions.config.prepare({ force, load: () => reader.anew(text) });
          return { digest: fleetDigest(config), waits };
        },
        release: () => {
          reader.forget();
          actions.config.release();
        },
        activate: async (_, text) => {
          // What may be lost by it was asked when it was prepared; what it waited for, the fleet waited for.
          knows(text);
          try {
            await actions.config.take({ force: true, load: () => reader.again(text) });
            inForce = text;
          } finally {
            knows(inForce);
          }
          reader.forget();
          actions.config.release();
        },
        recall: (missed) =>
          actions.config.recall(
            missed.map((text) => ({
              number: text.number,
              untilMs: text.untilMs,
              load: () => readBy(keyBefore(actions, inForce), text),
            })),
          ),
        standing: () => ({
          ...standingOf(actions),
          ...(discovery.publicKey && { publicKey: discovery.publicKey }),
        }),
      }),
    );
  };
  try {
    const fleet = {
      behind: () => member.behind,
      status: () => member.status,
      revision: () => member.inForce,
      serves: follow,
      views,
    };
    const started = firstConfig(load, options, log);
    await runNode({ ...started, load, force: options.force === true, fleet, discovery }, log);
  } finally {
    await views?.close();
    await member.close();
  }
}

/**
 * Before it waits for a revision, which says nothing of an interface that the host names.
 * @throws AnyhopError ERR_INTERFACE
 */
export async function requireInterface(
  options: Pick<RunCommandOptions, 'config' | 'interface'>,
): Promise<void> {
  const said = options.interface ?? process.env['ANYHOP_INTERFACE'];
  const name = said || interfaceIn(options.config);
  if (name !== undefined) await requireEthernetLink(name);
}

/** Undefined also for a file that is wrong, which others say. */
function interfaceIn(file: string): string | undefined {
  try {
    const name: unknown = parseDocument(readFileSync(file, 'utf8')).getIn(['node', 'interface']);
    return typeof name === 'string' ? name : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The secret that revisions without node.key_id were in force with: the present one, unless the fleet says which that is; then it is the only
 * other one.
 */
function keyBefore(actions: NodeActions, { text }: RevisionText): string | undefined {
  const { inForce, held } = actions.keys();
  if (keyIdIn(text) === undefined) return inForce;
  const others = held.filter((id) => id !== inForce);
  return others.length === 1 ? others[0] : undefined;
}

function standingOf(actions: NodeActions): ReturnType<Follower['standing']> {
  const { ready, reasons } = actions.ready();
  const owners = actions.owners();
  const keys = actions.keys();
  return {
    ready,
    ...(!ready && { reason: reasons.join('; ').slice(0, FLEET_MESSAGE_CHARS_MAX) }),
    owners,
    keys,
  };
}
