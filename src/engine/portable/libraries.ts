/**
 * The two native libraries of the portable engine, loaded when it starts: they are optional dependencies, and most of the
 * program does without.
 */
import type { Cap } from 'cap';
import { loadOptional, loadRawSockets, type RawSockets } from '../../underlay/raw-socket.js';

const USER = 'the portable engine needs';

export interface Libraries extends Pick<RawSockets, 'openSender'> {
  readonly Cap: new () => Cap;
}

/** @throws AnyhopError ERR_NATIVE naming the library that cannot be loaded */
export async function loadLibraries(): Promise<Libraries> {
  const { Cap } = await loadOptional(USER, 'cap', async () => (await import('cap')).default);
  return { Cap, openSender: (await loadRawSockets(USER)).openSender };
}
