/** What is told of the lists of a node: where their prefixes come from, and what is wrong with that. */
import type { DefendConfig, ListSource } from '../config/defend/types.js';
import type { IpPrefix } from '../packet/address.js';
import { prefixCount } from './columns.js';
import type { ListFile } from './list-file.js';
import type { ListedVerdict } from './runtime-entries.js';

export interface SourceStatus {
  /** The path, or the prefix. */
  readonly from: string;
  readonly prefixes: number;
  /** ISO 8601; absent for a prefix, and before a file was ever good. */
  readonly loadedAt?: string;
  /** Absent when all is well. */
  readonly problem?: string;
}

export interface ListStatus {
  readonly prefixes4: number;
  readonly prefixes6: number;
  readonly sources: readonly SourceStatus[];
}

export interface ListsStatus {
  readonly allow: ListStatus;
  readonly block: ListStatus;
  /** Of the compiled form in force. */
  readonly bytes: number;
  /** Why the former lists are in force, and not these; absent when these are. */
  readonly problem?: string;
}

export function listsStatus(
  config: Pick<DefendConfig, ListedVerdict> | undefined,
  files: readonly ListFile[],
): Pick<ListsStatus, ListedVerdict> {
  const of = (list: ListedVerdict): ListStatus =>
    statusOf(
      prefixesOf(config?.[list]),
      files.filter((file) => file.list === list),
    );
  return { allow: of('allow'), block: of('block') };
}

function statusOf(prefixes: readonly IpPrefix[], files: readonly ListFile[]): ListStatus {
  const count = (family: 4 | 6): number =>
    prefixes.filter(({ address }) => address.family === family).length +
    files.reduce((sum, file) => sum + file.prefixes[family === 4 ? 'lengths4' : 'lengths6'].length, 0);
  return {
    prefixes4: count(4),
    prefixes6: count(6),
    sources: [
      ...prefixes.map(({ text }) => ({ from: text, prefixes: 1 })),
      ...files.map(({ path, prefixes: read, loadedAt, problem }) => ({
        from: path,
        prefixes: prefixCount(read),
        ...(loadedAt !== undefined && { loadedAt }),
        ...(problem !== undefined && { problem }),
      })),
    ],
  };
}

/** Those that the config itself says. */
export function prefixesOf(sources: readonly ListSource[] = []): IpPrefix[] {
  return sources.flatMap((source) => (source.kind === 'prefix' ? source.prefix : []));
}
