import { equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Standing, withFound } from '#anyhop/config/edit/found.js';
import { ConfigError } from '#anyhop/config/error.js';

const FILE = 'anyhop.yaml';

function one(number: number, more: Partial<Standing> = {}): Standing {
  return {
    name: `web-${number}`,
    address: `10.1.0.${number}`,
    weight: 1,
    state: 'active',
    leaves: false,
    ...more,
  };
}

function become(text: string, ...backends: Standing[]): string {
  return withFound(text, FILE, new Map([['pool web', backends]]));
}

describe('a config text with the backends that were found', () => {
  test('keeps all else, and the fields of entries that stay', () => {
    const text = (list: string): string => `# top
pools:
  other: { backends: [{ name: web-1, address: 10.9.0.1 }] } # not this one
  web:
    backends_from: { file: /x, allowed_addresses: [10.0.0.0/8] }
    backends: # found
${list}
    # after
    table_size: 251
services: [] # end
`;
    const before = text(
      '      - name: web-1\n        address: 10.1.0.1\n        id: 7 # seven\n\n      - { name: web-2, address: 10.1.0.2, weight: 3 }',
    );
    const after = text(
      [
        '      - { name: web-1, address: 10.1.0.1, id: 7, state: draining, leaves: true }',
        '      - { name: web-2, address: 10.1.0.2 }',
        '      - { name: web-3, address: "fd00::3", weight: 2 }',
      ].join('\n'),
    );
    const gone = { state: 'draining', leaves: true } as const;
    const next = [one(1, gone), one(2), one(3, { address: 'fd00::3', weight: 2 })];
    equal(become(before, ...next), after);
    equal(become(after, ...next), after);
  });

  test('writes the list where there is none, in either style', () => {
    const block = 'pools:\n  web: # here\n    backends_from: {file: /x}\n    table_size: 251\n';
    equal(
      become(block, one(1), one(2)),
      'pools:\n  web: # here\n    backends:\n      - { name: web-1, address: 10.1.0.1 }\n      - { name: web-2, address: 10.1.0.2 }\n    backends_from: {file: /x}\n    table_size: 251\n',
    );
    equal(
      become('pools: {web: {backends_from: {file: /x}}}', one(1)),
      'pools: {web: {backends: [{ name: web-1, address: 10.1.0.1 }], backends_from: {file: /x}}}',
    );
    equal(
      become('pools: {web: {backends_from: {file: /x}, backends: [{name: a, address: 10.1.0.9}]}}', one(1)),
      'pools: {web: {backends_from: {file: /x}, backends: [{ name: web-1, address: 10.1.0.1 }]}}',
    );
  });

  test('keeps the line ends of a text with CRLF, and a list at the end of a text without one', () => {
    const text =
      'pools:\r\n  web:\r\n    backends_from: {file: /x}\r\n    backends:\r\n    - {name: web-1, address: 10.1.0.1}';
    equal(
      become(text, one(1), one(2)),
      'pools:\r\n  web:\r\n    backends_from: {file: /x}\r\n    backends:\r\n    - { name: web-1, address: 10.1.0.1 }\r\n    - { name: web-2, address: 10.1.0.2 }',
    );
  });

  test('writes the servers of an upstream with their ports, beside a pool of the same name', () => {
    const text = (servers: string): string => `pools:
  web: { backends: [{ name: web-1, address: 10.9.0.1 }] }
l7:
  upstreams:
    web:
${servers}      servers_from: { file: /x, allowed_addresses: [10.0.0.0/8] }
      balance: round_robin # kept
`;
    const server = (number: number, more: Partial<Standing> = {}): Standing =>
      one(number, { port: 8080, ...more });
    const found = new Map([['upstream web' as const, [server(1), server(2, { weight: 2 })]]]);
    const list = [
      '      servers:',
      '        - { name: web-1, address: 10.1.0.1, port: 8080 }',
      '        - { name: web-2, address: 10.1.0.2, port: 8080, weight: 2 }',
      '',
    ];
    const after = text(list.join('\n'));
    equal(withFound(text(''), FILE, found), after);
    equal(withFound(after, FILE, found), after);
    const moved = new Map([['upstream web' as const, [server(1, { port: 81 }), server(2, { weight: 2 })]]]);
    equal(withFound(after, FILE, moved), after.replace('8080', '81'));
  });

  test('leaves pools alone that people write, or that are not there', () => {
    const text = 'pools: {web: {backends: [{name: a, address: 10.1.0.9}]}}';
    equal(become(text, one(1)), text);
    equal(withFound(text, FILE, new Map([['pool dns', [one(1)]]])), text);
  });

  test('refuses lists that other parts of the text refer to', () => {
    const text =
      'pools:\n  web: {backends_from: {file: /x}, backends: &a [{name: a, address: 10.1.0.9}]}\n  dns: {backends: *a}\n';
    throws(() => become(text, one(1)), ConfigError);
  });
});
