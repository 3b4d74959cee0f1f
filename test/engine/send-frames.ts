/** Frames onto a link of tests, from a process in the sender's namespace. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { CaptureWriter } from '#anyhop/packet/capture.js';
import { here, LINK, type NodeLink } from './link.js';

/** Sends from the peer, in this order; all have left when it resolves. */
export async function sendFrames(
  { onPeer, resources }: NodeLink,
  frames: readonly Uint8Array[],
): Promise<void> {
  const file = join(mkdtempSync(join(resources.directory, 'frames-')), 'frames.pcap');
  const writer = new CaptureWriter(file);
  for (const bytes of frames) writer.write(bytes, 0n);
  writer.close();
  const { sent } = JSON.parse(await onPeer(process.execPath, here('../packets/inject.js'), LINK, file));
  assert.equal(sent, frames.length);
}
