/** A program that shows a picture and then meets an error that nobody catches. */
import { Screen } from '#anyhop/top/screen.js';

const screen = new Screen(process.stdout, process.stdin, { key: () => undefined, resize: () => undefined });
screen.open();
screen.show(['a picture']);
setTimeout(() => {
  throw new Error('a mistake of the program');
}, 50);
