/** Loaded before a program (node --import): the npm package named by HIDE_MODULE fails as one that was built for another system does. */
import { register } from 'node:module';

const hooks = `export async function resolve(specifier, context, next) {
  if (specifier === ${JSON.stringify(process.env['HIDE_MODULE'])})
    throw new Error('libpcap.so.0.8: cannot open shared object file');
  return next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
