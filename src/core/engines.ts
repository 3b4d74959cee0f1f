/**
 * The engines that a node can run, fastest first: the values of `engine`, and the order in which `auto` tries them. The rest is
 * in src/engine/candidates.ts.
 */

export const NODE_ENGINES = ['xdp', 'af_xdp', 'portable'] as const;
export type NodeEngine = (typeof NODE_ENGINES)[number];
