/** `anyhop image`: shows the forwarding state that a config leads to. */
import { Command, Option } from 'commander';
import { keyFingerprint as fingerprintOf } from '../config/key-fingerprint.js';
import type { NodeConfig } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { imageBackends, imageDigest, imageServices } from '../image/inspect.js';
import { type Assembly, assemble, fixedPath, servedOf } from '../node/assemble.js';
import { columns } from './format.js';
import { mtuOption } from './mtu.js';
import { type ConfigOptions, configOption, loadFor, type NodeOptions, nodeOptions } from './options.js';
import { writeResult } from './output.js';

interface ImageOptions extends ConfigOptions, NodeOptions {
  readonly mtu: number;
  readonly json?: boolean;
}

export function imageCommand(): Command {
  const command = new Command('image')
    .summary('print the forwarding state that a config file leads to')
    .description(
      'Builds the image (the flat memory that every engine reads) from the config file and prints its contents and digest. It asks ' +
        'neither a node nor the kernel: every backend is up, and MAC addresses and MTU are assumed. Of keys it shows fingerprints.',
    )
    .addOption(configOption())
    .addOption(mtuOption())
    .addOption(new Option('--json', 'print one JSON object'))
    .addHelpText('after', '\nExample:\n  anyhop image -c anyhop.yaml --json | jq .digest')
    .action((options: ImageOptions) => {
      const config = loadFor('node', options);
      const assembly = assemble(servedOf(config), config.node, {
        generation: 1,
        path: fixedPath(options.mtu),
      });
      writeResult(options.json, { ...keysOf(config.node), ...summarize(assembly) }, format);
    });
  for (const option of nodeOptions()) command.addOption(option);
  return command;
}

type Summary = ReturnType<typeof summarize> & ReturnType<typeof keysOf>;

/** Fingerprints: of the secret that flows are hashed with, and of others in its file, such as the one before or the next one. */
function keysOf({ key, otherKeys }: NodeConfig) {
  const [keyFingerprint, ...otherKeyFingerprints] = [key, ...otherKeys].map((secret) =>
    fingerprintOf(secret.reveal()),
  );
  return { keyFingerprint, otherKeyFingerprints };
}

function summarize(assembly: Assembly) {
  const { image, pools, numbers } = assembly;
  const serviceNames = numbers.services.names();
  // The image numbers backends pool by pool.
  const backendNames = pools.flatMap(({ name: pool, tables }) =>
    tables.names.map((name) => `${pool}/${name}`),
  );
  return {
    digest: imageDigest(image),
    layoutVersion: L.IMAGE_VERSION,
    flowHashVersion: L.FLOW_HASH_VERSION,
    bytes: image.bytes.length,
    generation: image.generation,
    services: imageServices(image).map(({ vip, counter, backendFirst, ...rest }) => ({
      name: serviceNames[counter],
      vip: vip.text,
      ...rest,
      pool: poolOf(backendNames[backendFirst]),
    })),
    pools: pools.map(({ name, slots, tables }) => ({
      name,
      slots,
      layers: tables.layers,
      mode: tables.mode,
      ownersDigest: tables.ownersDigest,
      alternatesDigest: tables.alternatesDigest,
    })),
    backends: imageBackends(image).map(({ address, source, flags, counter: _, ...rest }, number) => ({
      number,
      name: backendNames[number],
      address: address.text,
      outerSource: source.text,
      agent: (flags & L.PATH_AGENT) !== 0,
      ...rest,
    })),
  };
}

function poolOf(backendName: string | undefined): string | undefined {
  return backendName?.split('/', 1)[0];
}

function format(summary: Summary): string {
  const lines = [
    `image      ${summary.bytes} bytes, layout version ${summary.layoutVersion}, flow hash version ${summary.flowHashVersion}, generation ${summary.generation}`,
    `digest     ${summary.digest}`,
    `key        ${[summary.keyFingerprint, ...summary.otherKeyFingerprints.map((id) => `${id} is in its file too`)].join('; ')}`,
    '',
    ...columns(
      ['SERVICE', 'VIP', 'PORTS', 'POOL', 'HASH', 'SECOND CHANCE'],
      summary.services.map((s) => [
        s.name,
        s.vip,
        `${s.protocol} ${s.portFirst === s.portLast ? s.portFirst : `${s.portFirst}-${s.portLast}`}`,
        s.pool ?? '',
        s.hash,
        s.secondChance ? 'on' : 'off',
      ]),
    ),
    '',
    ...summary.pools.flatMap((pool) => [
      `pool ${pool.name}: ${pool.slots} slots, ${pool.layers} layers, mode ${pool.mode}`,
      `  owners      ${pool.ownersDigest}`,
      `  alternates  ${pool.alternatesDigest}`,
    ]),
    '',
    ...columns(
      ['BACKEND', 'ADDRESS', 'ID', 'OUTER SOURCE', 'MTU', 'AGENT', 'DESTINATION MAC'],
      summary.backends.map((b) => [
        b.name,
        b.address,
        String(b.id),
        b.outerSource,
        String(b.mtu),
        b.agent ? 'yes' : 'no',
        b.destinationMac,
      ]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
