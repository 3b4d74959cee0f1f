/** What packets of a node can be captured by, and the beginning of a capture; api/recorders.ts passes on what is recorded. */
import { ControlError } from '../api/api.js';
import { type CaptureFields, type CaptureReport, filterOf } from '../api/capture.js';
import { Recorded } from '../api/recorders.js';
import type { CaptureNames } from '../capture/record.js';
import type { NodeConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { Recording } from '../engine/capture/recording.js';
import { captureNames } from '../image/capture-names.js';
import type { Image } from '../image/read.js';
import type { Forwarded } from './action-parts.js';

export function captureReport(
  { engine, forwarding }: Forwarded,
  node: NodeConfig & { readonly interface: string },
): CaptureReport {
  return {
    node: node.name,
    interface: node.interface,
    engine: engine.name,
    ...(engine.record === undefined && { bpffs: node.bpffs }),
    names: captureNames(forwarding.image),
  };
}

/** @throws ControlError 404, 409 */
export function recorded({ engine, forwarding }: Forwarded, fields: CaptureFields, log: Logger): Recorded {
  if (engine.record === undefined)
    throw new ControlError(
      409,
      'ERR_ENGINE',
      `the engine ${engine.name} records into pins, not in this process`,
      {
        hint: '`anyhop capture` as root, or with CAP_BPF and CAP_NET_ADMIN, reads them.',
      },
    );
  const filter = filterOf(fields, captureNames(forwarding.image));
  let named: { readonly image: Image; readonly names: CaptureNames } | undefined;
  return new Recorded(
    async () => told(await engine.record!(filter), log),
    () => {
      const { image } = forwarding;
      if (named?.image !== image) named = { image, names: captureNames(image) };
      return named.names;
    },
  );
}

/** The log says that somebody looks at packets, and how long: they hold what clients send. */
function told(recording: Recording, log: Logger): Recording {
  log.info({ event: 'capture_started' }, 'packets are captured over the control socket');
  return {
    take: (bytesMax) => recording.take(bytesMax),
    get lost() {
      return recording.lost;
    },
    async end() {
      await recording.end();
      const { lost } = recording;
      log.info({ event: 'capture_ended', lost }, `packets are captured no more; ${lost} were lost`);
    },
  };
}
