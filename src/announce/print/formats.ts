/** The configs of other programs that `anyhop announce --print` writes: by name, with the options that each takes. */
import type { LoadedConfig } from '../../config/types.js';
import type { PrintContext, PrintOptions } from './options.js';

export type Write<R extends 'announce' | 'regions' = 'announce'> = (
  config: LoadedConfig<R>,
  options: PrintOptions,
  context: PrintContext,
) => string;

export type Format = FormatOf<'announce'> | FormatOf<'regions'>;

interface FormatOf<R extends 'announce' | 'regions'> {
  /** What the config must have: a DNS host is no node. */
  readonly role: R;
  /** What it is for, in help texts. */
  readonly about: string;
  readonly takes: readonly (keyof PrintOptions)[];
  /** The function that writes it. It throws AnyhopError ERR_USAGE for options that are missing or do not fit the config. */
  load(): Promise<Write<R>>;
}

const SESSION = ['asn', 'neighbors', 'routerId'] as const;
const SESSION_BFD = [...SESSION, 'bfd'] as const;

export const FORMATS: Readonly<Record<string, Format>> = {
  bird: {
    role: 'announce',
    about: 'BIRD 2 on the forwarder',
    takes: SESSION_BFD,
    load: async () => (await import('./bird.js')).birdForwarder,
  },
  'bird-router': {
    role: 'announce',
    about: 'BIRD 2 on a router',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./bird.js')).birdRouter,
  },
  frr: {
    role: 'announce',
    about: 'FRR on the forwarder',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./frr.js')).frrForwarder,
  },
  'frr-router': {
    role: 'announce',
    about: 'FRR on a router',
    takes: [...SESSION_BFD, 'prefixes'],
    load: async () => (await import('./frr.js')).frrRouter,
  },
  exabgp: {
    role: 'announce',
    about: 'ExaBGP on the forwarder',
    takes: [...SESSION, 'localAddresses'],
    load: async () => (await import('./exabgp.js')).exabgpForwarder,
  },
  gobgp: {
    role: 'announce',
    about: 'GoBGP on the forwarder',
    takes: [...SESSION, 'localAddresses'],
    load: async () => (await import('./gobgp.js')).gobgpForwarder,
  },
  keepalived: {
    role: 'announce',
    about: 'keepalived on one of two forwarders',
    takes: ['interface', 'addresses', 'vips', 'peers', 'vrid', 'priority'],
    load: async () => (await import('./keepalived.js')).keepalivedPair,
  },
  gdnsd: {
    role: 'regions',
    about: 'gdnsd on a DNS host',
    takes: [],
    load: async () => (await import('../region/print-gdnsd.js')).gdnsdConfig,
  },
  'gdnsd-zone': {
    role: 'regions',
    about: 'a zone of gdnsd',
    takes: ['zone', 'nameServers'],
    load: async () => (await import('../region/print-gdnsd.js')).gdnsdZone,
  },
};
