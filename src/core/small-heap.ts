/**
 * Keeps the heap of a process small that does little, and imports this for that: V8's young generation stays at its first size, 1 MB,
 * instead of growing to 16 while a config is read. What else a start leaves behind, src/ffi/resident.ts gives back.
 */
import { setFlagsFromString } from 'node:v8';

setFlagsFromString('--semi-space-growth-factor=1');
