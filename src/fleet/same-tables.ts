/** Whether a host makes of a revision what the operator made of it: a host with another build would decide otherwise. */
import type { KeptRevision } from '../config/fleet/kept.js';
import { VERSION } from '../core/version.js';
import type { Follower } from './follower.js';
import { BadRecord, opened, peeked, type Revision, signerOf } from './record.js';
import type { Signer } from './revisions.js';

const DIGEST_CHARS_SHOWN = 12;

class OtherTables extends BadRecord {}

/** @param digest of what this host makes of it @throws OtherTables */
export function requireSame(revision: Revision, digest: string): void {
  if (digest === revision.digest) return;
  const [here, signed] = [digest, revision.digest].map((each) => each.slice(0, DIGEST_CHARS_SHOWN));
  throw new OtherTables(
    `its tables are others here (digest ${here}, not ${signed}): anyhop ${VERSION} here is another build than the operator's`,
  );
}

/**
 * Of the revision that a process begins with, after an upgrade of one host alone, say: why it is not to serve by it.
 * A config that cannot be read is for the process to refuse.
 */
export async function otherTables(
  kept: KeptRevision,
  { name, operatorKey }: Signer,
  prepare: Follower['prepare'],
): Promise<string | undefined> {
  try {
    // One of a node was judged when it came into force here.
    const isOfNode = signerOf(kept.record) !== undefined;
    const revision = isOfNode ? peeked(kept.record) : opened(kept.record, name, operatorKey);
    requireSame(revision, (await prepare(revision, kept)).digest);
    return undefined;
  } catch (error) {
    return error instanceof OtherTables ? `revision ${kept.number} is in force: ${error.message}` : undefined;
  }
}
