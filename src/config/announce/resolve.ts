/** From a checked draft of the section `announce` to what the program uses; a file without it has the defaults. */
import { type DraftAnnounce, type DraftService, valuesOf } from '../draft.js';
import type { AnnounceConfig, AnnouncePlace } from './types.js';

/** Needs drafts in which nothing is missing. */
export function announceConfig(draft: DraftAnnounce, services: readonly DraftService[]): AnnounceConfig {
  const { vips: only, socket: _, ...values } = valuesOf(draft);
  const all = new Map(services.map(({ vip }) => [vip!.text, vip!]));
  const chosen = only && new Set(only.map(({ text }) => text));
  return { ...values, vips: [...all.values()].filter(({ text }) => chosen?.has(text) ?? true) };
}

/** @param socket of the announcer, if the file names it */
export function announcePlace(
  node: string,
  nodeSocket: string | undefined,
  socket: string | undefined,
): AnnouncePlace {
  return {
    node,
    nodeSocket: nodeSocket ?? nodeSocketOf(node),
    socket: socket ?? `/run/anyhop/${node}-announce.sock`,
  };
}

/** Where the control socket of a node is when its config does not say. */
export function nodeSocketOf(node: string): string {
  return `/run/anyhop/${node}.sock`;
}
