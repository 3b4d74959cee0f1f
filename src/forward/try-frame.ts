/** One frame through a pipeline, in memory of its own: for tests of an engine by itself, and for whoever wants to be told. */
import { L, VERDICTS } from '../core/layout.gen.js';
import type { Pipeline } from './pipeline.js';

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
