/**
 * How long does it take until packets are forwarded by a new state? From a backend that has gone (or come back) to the image
 * in force in the kernel, and from nothing to an image of many services; with the memory that these take. `--quick` does
 * little of it, to see that the bench still works.
 *
 * An image holds 65,535 backends, counted once in each of their pools. So 100 services, each with a pool of 1000 of its
 * own, are two images, of 50 services each, and the time is that of both.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseConfig } from '#anyhop/config/load.js';
import type { BackendConfig, LoadedConfig, PoolConfig, ServiceConfig } from '#anyhop/config/types.js';
import { STATES_REMEMBERED_MAX } from '#anyhop/core/limits.js';
import { createLog } from '#anyhop/core/log.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { ForwardMaps } from '#anyhop/engine/maps/forward-maps.js';
import { defendedShape, sizesFor } from '#anyhop/engine/maps/sizes.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import type { Done } from '#anyhop/health/probe.js';
import type { Image } from '#anyhop/image/read.js';
import { type Assembly, assemble, fixedPath, servedOf } from '#anyhop/node/assemble.js';
import { Forwarding } from '#anyhop/node/forwarding.js';
import { NodeHealth } from '#anyhop/node/node-health.js';
import { NodePools } from '#anyhop/node/node-pools.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { Path } from '#anyhop/packet/path.js';
import { markedBackends, NO_POOLS, take, takeMarks } from '#anyhop/pool/membership.js';
import { standing } from '#anyhop/pool/standing.js';
import { NO_FACTS, statesOf } from '#anyhop/pool/states.js';
import { missingForIsolation } from '../test/isolation.js';
import { median, report, skip } from './report.js';

const quick = process.argv.includes('--quick');
const BACKENDS = quick ? 10 : 1000;
const [WARM_UP, CHANGES] = quick ? [1, 3] : [30, 41];
/** As many as there may be. */
const REMEMBERED = Math.min(STATES_REMEMBERED_MAX, WARM_UP + CHANGES);
/** An image holds this many services with pools of a thousand; see above. */
const SERVICES = quick ? 2 : 50;
const IMAGES = 2;
/** Of one pool. */
const VERDICT_SERVICES = quick ? 3 : 100;
/** Between two changes: longer than a buffer takes to become free again (engine/maps/image-buffers.ts). */
const REST_MS = quick ? 1 : 25;
const MTU = 1500;
const MIB = 2 ** 20;

const base = parseConfig(
  `
node: {name: bench, interface: eth0, source: [10.0.0.1], key: 000102030405060708090a0b0c0d0e0f}
pools:
  web: {backends: [{name: web-1, address: 10.1.0.1}]}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: on}
`,
  'bench.yaml',
  { role: 'run', env: {} },
);

/** As the underlay has it: at hand, not made for the asking. */
const PATH = fixedPath(MTU)(base.pools[0].backends[0]);
const path = (): Path => PATH;

function pool(name: string): PoolConfig {
  const [{ backends, ...rest }] = base.pools;
  const members = Array.from(
    { length: BACKENDS },
    (_, i): BackendConfig => ({
      ...backends[0],
      name: `${name}-${i}`,
      address: parseAddress(`10.1.${i >> 8}.${i & 255}`)!,
      id: i + 1,
    }),
  );
  return { ...rest, name, backends: members };
}

/** Services, every one with a pool of its own. */
function configOf(prefix: string, services: number): LoadedConfig<'run'> {
  const pools = Array.from({ length: services }, (_, i) => pool(`${prefix}${i}`));
  return {
    ...base,
    pools,
    services: pools.map(
      ({ name }, i): ServiceConfig => ({
        ...base.services[0],
        name,
        pool: name,
        vip: parseAddress(`203.0.${i >> 8}.${i & 255}`)!,
      }),
    ),
  };
}

await healthChange();
await verdict();
fullBuild();

async function healthChange(): Promise<void> {
  const name = `publish: one health change, ${BACKENDS} backends, ${REMEMBERED} remembered states, image in force`;
  const missing = missingForIsolation();
  if (missing !== false) return skip(name, missing);
  const config = configOf('web-', 1);
  let assembly: Assembly = assemble(servedOf(config), config.node, { generation: 1, path });
  let nowMs = 0;
  let membership = take(NO_POOLS, config.pools, { force: false, nowMs });
  const sizes = sizesFor(assembly.image);
  const object = new BpfObject(bpfObjectPath('forward'), defendedShape(sizes));
  const maps = ForwardMaps.of(object, sizes);
  const assembling: number[] = [];
  const cpu: number[] = [];
  const whole: number[] = [];
  for (let change = -WARM_UP; change < CHANGES; change++) {
    await delay(REST_MS);
    // Each time another one is gone, and the one before is back.
    const gone = config.pools[0].backends[((change + WARM_UP) * 7) % BACKENDS];
    const used = process.cpuUsage();
    const start = performance.now();
    nowMs++;
    membership = takeMarks(membership, (_, { name }) => standing('up', name !== gone.name), nowMs);
    const pools = [...membership.values()].map(({ file, changes }) => statesOf(file, changes));
    assembly = assemble({ ...config, pools }, config.node, {
      generation: assembly.image.generation + 1,
      path: ({ name }) => (name === gone.name ? undefined : PATH),
      numbers: assembly.numbers,
      previous: assembly,
    });
    const assembled = performance.now();
    await maps.publish(assembly.image.bytes);
    if (change < 0) continue;
    whole.push(performance.now() - start);
    cpu.push(cpuMs(used));
    assembling.push(assembled - start);
  }
  const [{ tables, remembered }] = assembly.pools;
  if (remembered.length !== REMEMBERED) throw new Error(`${remembered.length} states are remembered`);
  if (maps.image()?.generation !== assembly.image.generation || tables.layers === 0) {
    throw new Error('the last image is not in force');
  }
  maps.close();
  object.close();
  report({
    bench: name,
    value: median(whole),
    unit: 'ms',
    target: 5,
    note: `of it building ${median(assembling).toFixed(2)} ms; CPU time ${median(cpu).toFixed(2)} ms; worst ${Math.max(...whole).toFixed(1)} ms; the image has ${kib(assembly)}`,
  });
}

/** The whole path: a check has failed; hysteresis, marks, what is remembered, tables, image, and the memory that XDP reads. */
async function verdict(): Promise<void> {
  const name = `publish: a check's verdict to the image in force, ${BACKENDS} backends, ${VERDICT_SERVICES} services`;
  const missing = missingForIsolation();
  if (missing !== false) return skip(name, missing);
  const config = verdictConfig();
  const log = createLog('silent');
  const probes = new Map<string, Done>();
  const health = new NodeHealth(log, {
    prepare: async () => undefined,
    make: (target, done) => {
      probes.set(target.name, done);
      return { start: () => done(undefined), cancel: () => 'no answer' };
    },
    close: () => undefined,
  });
  let forwarding: Forwarding | undefined;
  const pools = new NodePools({
    file: config,
    memory: new Map(),
    log,
    surroundings: {
      permit: async () => undefined,
      reach: async () => undefined,
      check: (backends) => health.check(backends),
      why: health.why,
      formerKey: () => undefined,
      facts: () => NO_FACTS,
      holds: () => [],
      publish: async () => forwarding?.refresh(),
      remember: async () => undefined, // written behind the image's back
    },
  });
  await health.check(markedBackends(pools.pools));
  health.follow(() => undefined);
  pools.start();
  forwarding = new Forwarding({ served: () => pools.served(), macs: () => [], path }, undefined, log);
  const sizes = sizesFor(forwarding.assembly.image);
  const object = new BpfObject(bpfObjectPath('forward'), defendedShape(sizes));
  const maps = ForwardMaps.of(object, sizes);
  await maps.publish(forwarding.assembly.image.bytes);
  let inForce: (() => void) | undefined;
  forwarding.drive({
    publish: async (image: Image) => {
      await maps.publish(image.bytes);
      inForce?.();
    },
  } as Engine);
  health.onChange(() => pools.marksChanged());
  const took: number[] = [];
  for (let change = -WARM_UP; change < CHANGES; change++) {
    await delay(REST_MS);
    const backend = `web/web-${((change + WARM_UP) * 7) % BACKENDS}`;
    const published = new Promise<void>((resolve) => {
      inForce = resolve;
    });
    const start = performance.now();
    probes.get(backend)!('refused');
    await published;
    if (change >= 0) took.push(performance.now() - start);
  }
  pools.close();
  health.close();
  const down = [...pools.pools.values()].flatMap(({ changes }) =>
    changes.marks.filter((each) => each.health !== 'up'),
  );
  if (down.length !== WARM_UP + CHANGES) throw new Error(`${down.length} backends are down`);
  maps.close();
  object.close();
  report({
    bench: name,
    value: median(took),
    unit: 'ms',
    target: 50,
    note: `worst ${Math.max(...took).toFixed(1)} ms; more backends are down each time, ${down.length} in the end`,
  });
}

/** One pool, of which every backend is checked once an hour, and services of many ports. */
function verdictConfig(): LoadedConfig<'run'> {
  const checked = pool('web');
  const health = {
    kind: 'tcp',
    port: 80,
    intervalMs: 3_600_000,
    timeoutMs: 1000,
    rise: 1,
    fall: 1,
    jitter: 0,
  } as const;
  const services = Array.from(
    { length: VERDICT_SERVICES },
    (_, i): ServiceConfig => ({ ...base.services[0], name: `web-${i}`, portFirst: i + 1, portLast: i + 1 }),
  );
  return { ...base, pools: [{ ...checked, health: [health] }], services };
}

function fullBuild(): void {
  const configs = Array.from({ length: IMAGES }, (_, i) => configOf(`p${i}-`, SERVICES));
  const before = process.memoryUsage().rss;
  const used = process.cpuUsage();
  const start = performance.now();
  const assemblies = configs.map((config) =>
    assemble(servedOf(config), config.node, { generation: 1, path }),
  );
  const took = performance.now() - start;
  const cpu = cpuMs(used);
  const grown = process.memoryUsage().rss - before;
  report({
    bench: `publish: full build, ${IMAGES * SERVICES} services with ${BACKENDS} backends each`,
    value: took,
    unit: 'ms',
    target: 2000,
    note: `two images of ${assemblies.map(kib).join(' and ')}; tables, layers and images took ${(grown / MIB).toFixed(0)} MiB; CPU time of all threads ${cpu.toFixed(0)} ms`,
  });
}

/** Of all threads since `before`: what the garbage collector does beside the build is in it. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function kib({ image }: Assembly): string {
  return `${Math.round(image.bytes.length / 1024).toLocaleString('en')} KiB`;
}
