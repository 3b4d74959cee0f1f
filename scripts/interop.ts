/**
 * `make interop`: fetches pages through anyhop from a machine that runs nothing of anyhop, but a real Linux kernel with
 * ip_gre and ip6_gre tunnels, over every mix of inner and outer IP version. That kernel is older than most, so it also has to
 * take the BPF programs.
 */
import { fileURLToPath } from 'node:url';
import { EXIT } from '#anyhop/core/errors.js';
import { bootGuest } from './interop/guest.js';
import { BPF_PROGRAMS } from './interop/initramfs.js';
import { obtainKernel } from './interop/kernel.js';
import { fourMixes, type LabService } from './lab/config.js';
import { createLab, type Lab } from './lab/lab.js';
import { runInLab } from './lab/main.js';
import type { HttpRequest } from './lab/requests.js';
import { backendAddresses } from './lab/topology.js';

const KERNEL_DIRECTORY = fileURLToPath(new URL('../interop-kernel', import.meta.url));
const GUEST = { name: 'kernel-1', addresses: backendAddresses(1) };
const TOOLS = ['qemu-system-x86_64', 'busybox', 'bpftool', 'cpio', 'ldd', 'xz', 'apt-get', 'dpkg-deb'];
const SMALL_PAGES = 20;
/** Full-sized packets in both directions, wrapped ones among them. */
const UPLOAD_BYTES = 100_000;
const CONCURRENCY = 4;
const REQUEST_TIMEOUT_MS = 20_000;
const TIME_LIMIT_MS = 300_000;

// The lab goes with the process, however it ends.
setTimeout(() => {
  console.error(`interop: not done within ${TIME_LIMIT_MS / 1000} s`);
  process.exit(EXIT.failure);
}, TIME_LIMIT_MS).unref();

await runInLab('interop', interop, TOOLS);

async function interop(): Promise<number> {
  if (process.arch !== 'x64') {
    console.log(
      `interop: SKIPPED: the guest's kernel is Debian's for amd64, and this machine is ${process.arch}`,
    );
    return EXIT.ok;
  }
  const kernel = await obtainKernel(KERNEL_DIRECTORY);
  console.log(`A guest boots ${kernel.packageName} in QEMU; its own GRE tunnels unwrap what anyhop sends.`);
  const services = fourMixes([{ name: GUEST.name, ...GUEST.addresses, agent: false }]);
  const lab = await createLab({ forwarders: 1, backends: 0, services });
  try {
    await lab.addTap(GUEST.name, GUEST.addresses);
    await Promise.all([
      bootGuest(lab.resources, { router: lab.router, guest: GUEST, kernel }),
      lab.startForwarder(0),
    ]);
    console.log(`It takes the BPF programs: ${BPF_PROGRAMS.join(', ')}.`);
    return await fetchAll(lab, services);
  } finally {
    await lab.close();
  }
}

async function fetchAll(lab: Lab, services: readonly LabService[]): Promise<number> {
  let pages = 0;
  let failed = 0;
  let mixes = 0;
  for (const service of services) {
    const before = await greToGuest(lab);
    const requests = pagesOf(service);
    const answers = await lab.request({ requests, concurrency: CONCURRENCY, timeoutMs: REQUEST_TIMEOUT_MS });
    const gre = (await greToGuest(lab)) - before;
    const failures = answers.filter(({ backend }) => backend !== GUEST.name);
    console.log(
      `${service.name}: ${answers.length} pages, ${failures.length} failed, ${gre} GRE packets` +
        failures.slice(0, 1).map(({ error }) => ` (${error})`),
    );
    pages += answers.length;
    failed += failures.length;
    if (failures.length === 0 && gre > 0) mixes += 1;
  }
  console.log(`interop: ${mixes} mixes, ${pages} pages, ${failed} failed`);
  return failed === 0 && mixes === services.length ? EXIT.ok : EXIT.failure;
}

function pagesOf({ vip, port }: LabService): HttpRequest[] {
  const paths = [...Array<string>(SMALL_PAGES).fill('/'), '/cgi-bin/large', '/cgi-bin/upload'];
  return paths.map((path, i) => ({
    host: vip,
    port,
    path,
    sourcePort: 20_000 + i,
    uploadBytes: path.endsWith('upload') ? UPLOAD_BYTES : 0,
  }));
}

async function greToGuest(lab: Lab): Promise<number> {
  return (await lab.counters()).get(GUEST.name)!.gre;
}
