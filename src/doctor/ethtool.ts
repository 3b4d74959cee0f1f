/** What ethtool says of an interface; drivers have different answers, and many have none to some of the questions. */
import type { Host } from './host.js';

/** `ethtool -k`: a feature's state, by its long name. */
export interface Feature {
  readonly isOn: boolean;
  /** It cannot be changed. */
  readonly isFixed: boolean;
}

export async function readFeatures(host: Host, name: string): Promise<ReadonlyMap<string, Feature>> {
  const { code, stdout } = await host.run('ethtool', ['-k', name]);
  if (code !== 0) return new Map();
  return new Map(
    [...stdout.matchAll(/^\s*([a-z0-9-]+): (on|off)(.*)$/gm)].map(([, feature, state, rest]) => [
      feature,
      { isOn: state === 'on', isFixed: rest.includes('[fixed]') },
    ]),
  );
}

/** `ethtool -l` and `-g`: what is set, and the most that the card takes; absent without the figure. */
export interface Sizes {
  readonly most: ReadonlyMap<string, number>;
  readonly now: ReadonlyMap<string, number>;
}

/** @param question `-l` for queues, `-g` for rings */
export async function readSizes(host: Host, question: '-l' | '-g', name: string): Promise<Sizes | undefined> {
  const { code, stdout } = await host.run('ethtool', [question, name]);
  if (code !== 0) return undefined;
  const [most = '', now = ''] = stdout.split(/^Current hardware settings:$/m);
  return { most: figures(most), now: figures(now) };
}

function figures(text: string): ReadonlyMap<string, number> {
  return new Map(
    [...text.matchAll(/^([A-Za-z ]+):\s+(\d+)$/gm)].map(([, what, value]) => [what, Number(value)]),
  );
}

/** `ethtool -i`: name of the driver; undefined for a device without one. */
export async function readDriver(host: Host, name: string): Promise<string | undefined> {
  const { code, stdout } = await host.run('ethtool', ['-i', name]);
  return code === 0 ? /^driver: (\S+)$/m.exec(stdout)?.[1] : undefined;
}
