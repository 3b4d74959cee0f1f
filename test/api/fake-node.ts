/** A node behind a control socket that does nothing: what it was told is written down, and what it answers can be set. */
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  BackendTarget,
  ChangeOptions,
  ChangeReport,
  ControlActions,
  Flow,
  MemberEdit,
} from '#anyhop/api/api.js';
import type { BlockReport, ListedPrefixes } from '#anyhop/api/defend.js';
import { unnumbered } from '#anyhop/api/followers.js';
import { controlRoutes } from '#anyhop/api/routes.js';
import { serveControl } from '#anyhop/api/server.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { createLog, type Logger } from '#anyhop/core/log.js';
import { formatEndpoint } from '#anyhop/packet/compose.js';
import type { OverridePatch } from '#anyhop/pool/override.js';
import { defendReport } from '../node/defend-report.js';

const MOMENT = {
  node: 'edge-1',
  at: '2024-05-01T12:00:00.000Z',
  generation: 7,
  configFile: '/etc/anyhop/anyhop.yaml',
};
/** A line that stays as it is. */
const SILENT = unnumbered({ node: 'edge-1' });
const UNCHANGED: ChangeReport = { generation: 7, pools: [], changes: [], warnings: [] };

/** What the node was told, the latest last. */
export type Told =
  | { readonly what: 'drain' | 'undrain'; readonly target: BackendTarget; readonly options: ChangeOptions }
  | {
      readonly what: 'weight';
      readonly target: BackendTarget;
      readonly weight: number;
      readonly options: ChangeOptions;
    }
  | { readonly what: 'reload'; readonly options: ChangeOptions }
  | {
      readonly what: 'plan for';
      readonly target: BackendTarget;
      readonly patch: OverridePatch;
      readonly options: ChangeOptions;
    }
  | {
      readonly what: 'edit' | 'plan edit';
      readonly edit: MemberEdit;
      readonly options: ChangeOptions;
    }
  | { readonly what: 'cancel' | 'force'; readonly id: string }
  | { readonly what: 'block' | 'allow' | 'unblock'; readonly listed: ListedPrefixes }
  | { readonly what: 'plan' }
  | { readonly what: 'which'; readonly flow: Flow }
  | { readonly what: 'tables'; readonly pool: string | undefined };

export interface FakeNode {
  readonly socket: string;
  readonly told: Told[];
  /** Actions that do something else than to write down what they were told. */
  readonly instead: Partial<ControlActions>;
  close(): Promise<void>;
}

export async function fakeNode(
  instead: Partial<ControlActions> = {},
  log: Logger = createLog('silent'),
): Promise<FakeNode> {
  const directory = mkdtempSync(join(tmpdir(), 'ah-node-'));
  const socket = join(directory, 'edge-1.sock');
  const told: Told[] = [];
  const changed = async (one: Told): Promise<ChangeReport> => {
    told.push(one);
    return UNCHANGED;
  };
  const list = async (what: 'block' | 'allow' | 'unblock', listed: ListedPrefixes): Promise<BlockReport> => {
    told.push({ what, listed });
    return {
      changes: listed.prefixes.map(({ text: prefix }) => ({ prefix, effect: 'added' as const })),
      warnings: [],
    };
  };
  const silent: ControlActions = {
    status: async () => ({ node: 'edge-1' }) as NodeStatus,
    ready: () => ({ ready: true, reasons: [], services: [] }),
    revision: () => ({ number: 7, record: '{}' }),
    follow: () => ({ current: () => SILENT, onChange: () => () => undefined }),
    capture: async () => ({
      node: 'edge-1',
      interface: 'eth0',
      engine: 'portable',
      names: { generation: 7, services: [], backends: [] },
    }),
    record: async () => {
      throw new Error('it records nothing');
    },
    events: () => ({ since: '2024-05-01T12:00:00.000Z', events: [] }),
    health: async () => ({ backends: [] }),
    counters: async () => ({ verdicts: {}, services: {}, backends: {} }),
    tables: async (pool) => {
      told.push({ what: 'tables', pool });
      return { generation: 7, pools: [] };
    },
    inForce: async () => ({ ...MOMENT, keyFingerprint: '00', flowHashVersion: 2, services: [], pools: [] }),
    which: async (flow) => {
      told.push({ what: 'which', flow });
      return { ...MOMENT, answer: { verdict: 'pass_not_vip', meaning: 'for no VIP of this node' } };
    },
    trace: async ({ source, destination }) => ({
      ...MOMENT,
      engine: 'portable',
      interface: 'eth0',
      source: formatEndpoint(source),
      destination: formatEndpoint(destination),
      answer: { verdict: 'pass_not_vip', meaning: 'for no VIP of this node' },
      agentPort: 9611,
      backends: [],
    }),
    plan: async () => {
      told.push({ what: 'plan' });
      return { of: 'reload', file: '/etc/anyhop/anyhop.yaml', pools: [], changes: [], warnings: [] };
    },
    reload: (options) => changed({ what: 'reload', options }),
    drain: (target, options) => changed({ what: 'drain', target, options }),
    undrain: (target, options) => changed({ what: 'undrain', target, options }),
    weight: (target, weight, options) => changed({ what: 'weight', target, weight, options }),
    planFor: async (target, patch, options) => {
      told.push({ what: 'plan for', target, patch, options });
      return { of: 'drain', pools: [], changes: [], warnings: [] };
    },
    edit: (edit, options) => changed({ what: 'edit', edit, options }),
    planEdit: async (edit, options) => {
      told.push({ what: 'plan edit', edit, options });
      return { of: 'backend add', pools: [], changes: [], warnings: [] };
    },
    changes: async () => ({ changes: [] }),
    cancel: (id) => changed({ what: 'cancel', id }),
    force: (id) => changed({ what: 'force', id }),
    defend: async () => defendReport(),
    defendTop: async () => ({ sources: [{ source: '198.51.100.7', packetsPerSecond: 9, dropped: 3 }] }),
    block: (listed) => list('block', listed),
    allow: (listed) => list('allow', listed),
    unblock: (listed) => list('unblock', listed),
  };
  // Looked up at each call, so that a test can change its mind.
  const actions = new Proxy(silent, {
    get: (_, name: keyof ControlActions) => instead[name] ?? silent[name],
  });
  const server = await serveControl(socket, controlRoutes(actions), log);
  return {
    socket,
    told,
    instead,
    async close() {
      await server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

export interface Asked {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever came back, for assertions to look into
  readonly json: any;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

/** One request, and all of its answer. */
export function ask(
  socketPath: string,
  path: string,
  { method = 'GET', headers = {}, body = '' }: Question = {},
): Promise<Asked> {
  return new Promise((resolve, reject) => {
    // Not left to Node, which for some methods sends a body without saying that there is one.
    const length = { 'content-length': String(Buffer.byteLength(body)) };
    const framed = 'transfer-encoding' in headers || body.length === 0 ? headers : { ...length, ...headers };
    const asked = request({ socketPath, path, method, headers: framed, agent: false }, async (response) => {
      let text = '';
      for await (const part of response) text += part;
      const json = text === '' ? undefined : JSON.parse(text);
      resolve({ status: response.statusCode, headers: response.headers, text, json });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** One POST of a JSON value. */
export function post(socket: string, path: string, value: unknown): Promise<Asked> {
  return ask(socket, path, { method: 'POST', body: JSON.stringify(value) });
}
