/** The engines that a node can run, the fastest first: what the config names and `auto` tries. src/engine/candidates.ts has the rest. */

export const NODE_ENGINES = ['xdp', 'af_xdp', 'portable'] as const;
export type NodeEngine = (typeof NODE_ENGINES)[number];
