/** Loaded before a program (node --import): libpcap refuses every filter, the last thing that a start needs. */
import cap, { type Cap } from 'cap';

const prototype: Cap = cap.Cap.prototype;
const { open } = prototype;
prototype.open = function (this: Cap, device, _filter, bufferBytes, buffer) {
  return open.call(this, device, 'no such filter', bufferBytes, buffer);
} as typeof open;
