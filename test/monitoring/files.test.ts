/** The files for Prometheus and Grafana, as they are shipped: what promtool says of the rules, and whether Grafana finds what panels name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { PROCESSES } from '#anyhop/metrics/family.js';
import { familiesOf } from '#anyhop/metrics/names.js';
import { run } from '../../scripts/lab/command.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { ALERTS } from '../../scripts/monitoring/alerts.js';
import { ROWS } from '../../scripts/monitoring/panels.js';

const FOLDER = 'scripts/monitoring';
/** Of Prometheus itself. */
const FOREIGN = new Set(['up', 'ALERTS']);
const alerts = Object.values(ALERTS).flat();
const expressions = [
  ...alerts.map(({ name, expr }) => ({ of: name, expr })),
  ...ROWS.flatMap(({ panels }) =>
    panels.flatMap(({ title, asks }) => asks.map(({ expr }) => ({ of: title, expr }))),
  ),
];

interface Grid {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

describe('the files for Prometheus and Grafana', () => {
  let known: Set<string>;
  before(() => {
    known = new Set(PROCESSES.flatMap((process) => Object.keys(familiesOf(process))));
  });

  test('ask for nothing that no process answers', () => {
    for (const { of, expr } of expressions) {
      const names = expr.match(/\b(?:anyhop|process)_[a-z0-9_]+|\bup\b|\bALERTS\b/g) ?? [];
      assert.ok(names.length > 0, of);
      for (const name of names) {
        const family = name.replace(/_(?:bucket|count|sum)$/, '');
        assert.ok(known.has(name) || known.has(family) || FOREIGN.has(name), `${of} asks for ${name}`);
      }
    }
  });

  test('have a name for each alert, once, with a sentence on what it is and one on what to do', () => {
    assert.equal(new Set(alerts.map(({ name }) => name)).size, alerts.length);
    for (const { name, what, todo } of alerts) {
      assert.match(name, /^Anyhop[A-Z][A-Za-z]+$/);
      assert.match(what, /\.$/, name);
      assert.match(todo, /\.$/, name);
    }
  });

  test('are rules that promtool takes, each of which fires in its case and is silent in the other', {
    skip: missingForLab(['promtool'])?.message ?? false,
  }, async () => {
    await run(['promtool', 'check', 'rules', '--lint-fatal', `${FOLDER}/anyhop.rules.yml`]);
    await run(['promtool', 'test', 'rules', `${FOLDER}/anyhop.rules.test.yml`]);
    const tested = readFileSync(`${FOLDER}/anyhop.rules.test.yml`, 'utf8');
    for (const { name } of alerts) {
      assert.ok(tested.includes(`job="${name}-fires"`), name);
      assert.ok(tested.includes(`job="${name}-silent"`), name);
    }
  });

  test('place no two panels of the dashboard on one another, and give each an own number and a text', () => {
    const { panels } = JSON.parse(readFileSync(`${FOLDER}/anyhop.grafana.json`, 'utf8')) as {
      panels: { id: number; title: string; type: string; description?: string; gridPos: Grid }[];
    };
    assert.equal(panels.length, ROWS.length + ROWS.flatMap(({ panels }) => panels).length);
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    for (const [i, { title, type, description, gridPos: one }] of panels.entries()) {
      assert.ok(one.x >= 0 && one.x + one.w <= 24, title);
      if (type !== 'row') assert.match(description ?? '', /\.$/, title);
      for (const { title: other, gridPos: two } of panels.slice(i + 1))
        assert.ok(
          one.x + one.w <= two.x ||
            two.x + two.w <= one.x ||
            one.y + one.h <= two.y ||
            two.y + two.h <= one.y,
          `${title} and ${other}`,
        );
    }
  });
});
