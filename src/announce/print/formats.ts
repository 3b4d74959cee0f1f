/** The configs of other programs that `anyhop announce --print` writes: by name, with the options that each takes. */
import type { LoadedConfig } from '../../config/types.js';
import type { PrintContext, PrintOptions } from './options.js';

export type Write = (
  config: LoadedConfig<'announce'>,
  options: PrintOptions,
  context: PrintContext,
) => string;

export interface Format {
  /** What it is for, in help texts. */
  readonly about: string;
  readonly takes: readonly (keyof PrintOptions)[];
  /** The function that writes it. It throws AnyhopError ERR_USAGE for options that are missing or do not fit the config. */
  load(): Promise<Write>;
}

const SESSION = ['asn', 'neighbors', 'routerId'] as const;
const SESSION_BFD = [...SESSION, 'bfd'] as const;

export const FORMATS: Readonly<Record<string, Format>> = {
  bird: {
    about: 'BIRD 2 on the forwarder',
    takes: SESSION_BFD,
    load: async () => (await import('./bird.js')).birdForwarder,
  },
  'bird-router': {
    about: 'BIRD 2 on a router',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./bird.js')).birdRouter,
  },
  frr: {
    about: 'FRR on the forwarder',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./frr.js')).frrForwarder,
  },
  'frr-router': {
    about: 'FRR on a router',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./frr.js')).frrRouter,
  },
  exabgp: {
    about: 'ExaBGP on the forwarder',
    takes: [...SESSION, 'localAddresses'],
    load: async () => (await import('./exabgp.js')).exabgpForwarder,
  },
  gobgp: {
    about: 'GoBGP on the forwarder',
    takes: [...SESSION, 'localAddresses'],
    load: async () => (await import('./gobgp.js')).gobgpForwarder,
  },
  keepalived: {
    about: 'keepalived on one of two forwarders',
    takes: ['interface', 'addresses', 'vips', 'peers', 'vrid', 'priority'],
    load: async () => (await import('./keepalived.js')).keepalivedPair,
  },
};
