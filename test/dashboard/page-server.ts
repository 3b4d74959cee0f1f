/** The dashboard behind a bare HTTP server on loopback, with a node that tells what a test wants. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlActions } from '#anyhop/api/api.js';
import type { Sibling } from '#anyhop/dashboard/asked-node.js';
import { mount } from '#anyhop/dashboard/mount.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';

export interface PageServer {
  readonly url: string;
  readonly node: FakeNode;
  close(): Promise<void>;
}

export async function pageServer(
  actions: Partial<ControlActions>,
  siblings: readonly Sibling[] = [],
): Promise<PageServer> {
  const node = await fakeNode(actions);
  const pages = mount({
    data: { name: 'edge-1', socket: node.socket, siblings },
    tls: undefined,
    login: undefined,
    log: () => undefined,
  });
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://listener');
    const isPage = pages.answer({ request, response, url, stays: () => undefined });
    if (!isPage) response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    node,
    async close() {
      pages.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await node.close();
    },
  };
}
