/** One frame through a pipeline, in memory of its own: for tests of an engine by itself, and for whoever wants to be told. */
import { L, VERDICTS } from '../core/layout.gen.js';
import type { Image } from '../image/read.js';
import { composeFrame, type Endpoint } from '../packet/compose.js';
import type { Pipeline } from './pipeline.js';

/** The smallest frame of a flow, for the MAC address that the image takes frames for. */
export function frameOfFlow(
  { bytes, checkMac }: Image,
  protocol: 'tcp' | 'udp',
  source: Endpoint,
  destination: Endpoint,
): Uint8Array {
  const frame = composeFrame(protocol, source, destination);
  if (checkMac) frame.set(bytes.subarray(L.HEADER_MAC, L.HEADER_MAC + 6));
  return frame;
}

/** @returns the frame that the pipeline would send; undefined when it sends none. It is counted there. */
export function tryFrame(pipeline: Pipeline, frame: Uint8Array): Uint8Array | undefined {
  const memory = new Uint8Array(L.HEADROOM + frame.length);
  memory.set(frame, L.HEADROOM);
  const verdict = pipeline.process(new DataView(memory.buffer), L.HEADROOM, frame.length);
  const { action } = VERDICTS[verdict];
  if (action !== 'forward' && action !== 'answer') return undefined;
  const { outStart, outLength } = pipeline;
  return memory.subarray(outStart, outStart + outLength);
}
