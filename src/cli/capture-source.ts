/**
 * Finds what records packets here: the node that runs, which records itself (portable, af_xdp) or says where its pins are (xdp); pins that a process
 * has left on an interface; or the agent's pins.
 */

import type { CaptureReport } from '../api/capture.js';
import type { CaptureSource } from '../capture/record.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { NodeCapture } from './capture-node.js';
import { ask, findSocket } from './control-client.js';

export interface SourceOptions {
  readonly socket?: string;
}

/** @throws AnyhopError when there is nothing to capture from */
export async function findSource(options: SourceOptions): Promise<CaptureSource> {
  const socket = options.socket ?? (await findSocket());
  const report = (await ask(socket, '/capture')) as CaptureReport;
  if (report.bpffs === undefined) return new NodeCapture(socket, report);
  throw new AnyhopError('ERR_ENGINE', `the engine ${report.engine} records into pins`, {
    exitCode: EXIT.failure,
  });
}
