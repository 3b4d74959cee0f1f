/** Nothing of the demos that take long to come up outlives an interrupt. */
import { test } from 'node:test';
import { BIRD_TOOLS } from '../../scripts/lab/ha/bird.js';
import { KEEPALIVED_TOOLS } from '../../scripts/lab/ha/keepalived.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { interruptDemo } from './running-demo.js';

const TIMEOUT_MS = 400_000;
const skipFor = (tools: readonly string[] = []): string | false => missingForLab(tools)?.message ?? false;

test('Ctrl-C removes everything that the demo of floods made', { skip: skipFor(), timeout: TIMEOUT_MS }, () =>
  interruptDemo('demo-flood'),
);

test(
  'Ctrl-C removes everything that the demo of routing daemons made, the daemons included',
  { skip: skipFor([...BIRD_TOOLS, ...KEEPALIVED_TOOLS]), timeout: TIMEOUT_MS },
  () => interruptDemo('demo-ha'),
);
