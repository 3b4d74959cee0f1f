/** `anyhop diff A B`: whether two nodes send every flow to the same backend, and if not, why. */
import { readFileSync, statSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { Command } from 'commander';
import * as z from 'zod';
import { AnyhopError, EXIT } from '../core/errors.js';
import { TABLE_SIZE_MAX, TABLE_SIZE_MIN, WEIGHT_MAX } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import { type ComparedNode, diffNodes } from '../node/diff.js';
import { ask } from './control-client.js';
import { drawDiff } from './diff-text.js';
import { writeResult } from './output.js';

export function diffCommand(): Command {
  return new Command('diff')
    .summary('compare two nodes, and count the connections that would break between them')
    .description(
      'Compares the statuses of two nodes: whether they send every flow to the same backend, and if not, which backends they see ' +
        'differently, and in how many slots a connection would break when it moves from one node to the other.',
    )
    .argument(
      '<a>',
      'control socket of a node, or a file with the output of "anyhop status --json", or - for standard input',
    )
    .argument('<b>', 'the same for the other node')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Nodes differ while they see a backend's health differently, and while a change is on its way through the fleet. Connections
that stay with their node are not affected. Those that the router moves to another node break in the slots counted here.
Exit codes: 0 the same, 1 different, or a node does not answer, 2 wrong usage.

Examples:
  anyhop diff /run/anyhop/edge-1.sock /run/anyhop/edge-2.sock
  ssh edge-2 anyhop status --json | anyhop diff /run/anyhop/edge-1.sock -
  anyhop diff edge-1.json edge-2.json --json | jq '.pools[] | select(.same | not) | .pool'`,
    )
    .action(async (a: string, b: string, options: { readonly json?: true }) => {
      if (a === '-' && b === '-') {
        throw new AnyhopError('ERR_USAGE', 'only one of the two can be standard input', {
          hint: 'Name a file or socket for the other.',
        });
      }
      const [one, other] = [await read(a), await read(b)];
      const diff = compare(one, other);
      const names: [string, string] = one.node === other.node ? [a, b] : [one.node, other.node];
      writeResult(options.json, diff, () => drawDiff(diff, names));
      if (!diff.same) process.exitCode = EXIT.failure;
    });
}

function compare(a: ComparedNode, b: ComparedNode) {
  try {
    return diffNodes(a, b);
  } catch (cause) {
    // No node sends such a status, but a file may contain anything.
    if (cause instanceof RangeError) {
      throw new AnyhopError('ERR_USAGE', `cannot build tables from these statuses: ${cause.message}`, {
        cause,
      });
    }
    throw cause;
  }
}

const member = {
  name: z.string(),
  address: z.string(),
  weight: z.int().min(0).max(WEIGHT_MAX),
  state: z.enum(['active', 'draining']),
  reachable: z.boolean(),
};

/** The compared part of a status; the rest may differ between versions. */
const statusSchema: z.ZodType<ComparedNode> = z.object({
  node: z.string(),
  keyFingerprint: z.string(),
  /** Version 1 did not say so. */
  flowHashVersion: z.int().default(1),
  services: z.array(
    z.object({
      name: z.string(),
      vip: z.string(),
      protocol: z.string(),
      portFirst: z.number(),
      portLast: z.number(),
      pool: z.string(),
      hash: z.enum(['5-tuple', '3-tuple', 'source']),
      secondChance: z.boolean(),
    }),
  ),
  pools: z.array(
    z.object({
      name: z.string(),
      slots: z.int().min(TABLE_SIZE_MIN).max(TABLE_SIZE_MAX),
      panicThreshold: z.number().min(0).max(1),
      digests: z.object({ owners: z.string(), alternates: z.string() }),
      change: z.object({
        settlesAt: z.string().exactOptional(),
        queued: z.array(z.object({ dueAt: z.string(), changes: z.array(z.string()) })),
      }),
      remembered: z.array(z.array(z.object({ ...member, health: z.enum(['up', 'down']) }))),
      backends: z.array(
        z.object({
          ...member,
          id: z.int().exactOptional(),
          hasAgent: z.boolean().exactOptional(),
          health: z.enum(['up', 'down', 'dead']),
          healthReason: z.string().exactOptional(),
          drain: z.object({ connections: z.number().nullable(), done: z.boolean() }).exactOptional(),
        }),
      ),
    }),
  ),
});

async function read(from: string): Promise<ComparedNode> {
  const value = isSocket(from) ? await ask(from, '/status') : parse(from, await contents(from));
  const { data, error } = statusSchema.safeParse(value);
  if (data !== undefined) return data;
  const [{ path, message }] = error.issues;
  throw new AnyhopError('ERR_USAGE', `${from} is not the status of a node: ${path.join('.')}: ${message}`, {
    hint: 'Expected the output of "anyhop status --json" from a node of this version.',
  });
}

function isSocket(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

async function contents(path: string): Promise<string> {
  if (path === '-') return readAll(process.stdin);
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AnyhopError('ERR_USAGE', `cannot read ${path}: ${reasonOf(cause)}`, {
      hint: 'Name a control socket (/run/anyhop/NAME.sock), or a file with the output of "anyhop status --json".',
      cause,
    });
  }
}

function parse(from: string, json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new AnyhopError('ERR_USAGE', `${from} is not JSON: ${(cause as Error).message}`, {
      hint: 'Expected the output of "anyhop status --json".',
      cause,
    });
  }
}
