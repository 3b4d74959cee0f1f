/** Messages between the main thread and the worker that reads, compiles and keeps lists: each is answered once. Their memory is shared. */
import type { ListsInput } from './compile.js';
import type { ReadList } from './files.js';
import type { KeptList, KeptPlace } from './kept-list.js';

/** A list file to read. */
export interface ToRead {
  readonly path: string;
  /** Where what was good of it is kept, when that is wanted too. */
  readonly kept?: string;
}

export interface WasRead {
  readonly read: ReadList;
  readonly former?: KeptList | undefined;
  /** Why what was kept cannot be used. */
  readonly formerProblem?: string;
}

export type ToKeep = KeptPlace & KeptList;

export type ToWorker =
  | { readonly read: readonly ToRead[] }
  | { readonly compile: ListsInput }
  | { readonly keep: readonly ToKeep[] };

export type FromWorker =
  | { readonly lists: readonly WasRead[] }
  | { readonly memory: SharedArrayBuffer | undefined }
  /** For each, why it is not kept. */
  | { readonly kept: readonly (string | undefined)[] }
  | { readonly failed: string };
