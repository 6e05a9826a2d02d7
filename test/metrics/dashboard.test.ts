import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { findCheckout } from '../lab/checkout.ts';

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly datasource: { readonly type: string; readonly uid: string };
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: Target['datasource'];
  readonly targets?: readonly Target[];
}

interface Dashboard {
  readonly id: null;
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

/** The columns of a dashboard. */
const COLUMNS = 24;
const TYPES = ['row', 'stat', 'timeseries', 'table'];
/** The text that Grafana puts the choice in place of. */
const DATA_SOURCE_UID = `$${'{datasource}'}`;
const DATA_SOURCE = { type: 'prometheus', uid: DATA_SOURCE_UID };

const dashboard: Dashboard = JSON.parse(readFileSync(`${findCheckout()}/src/grafana/l7egg.json`, 'utf8'));
const shown = dashboard.panels.filter(({ type }) => type !== 'row');

describe('the dashboard', () => {
  test('is one that Grafana imports anew', () => {
    assert.equal(dashboard.id, null);
    assert.match(dashboard.uid, /^[a-z0-9-]{8,40}$/u);
    assert.ok(dashboard.schemaVersion >= 39, 'Grafana 11');
    assert.ok(shown.length > 20);
  });

  test('lets its reader choose the data source and the host', () => {
    const variables = dashboard.templating.list.map(({ name, type }) => [name, type]);
    assert.deepEqual(variables, [
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ]);
  });

  test('has panels of known types with a number and a title of their own', () => {
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
    assert.equal(new Set(dashboard.panels.map(({ title }) => title)).size, dashboard.panels.length);
    for (const { type, title } of dashboard.panels) assert.ok(TYPES.includes(type), `${title}: ${type}`);
  });

  test('has panels that lie in the grid, and none on another', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= COLUMNS, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.equal(taken.get(`${x} ${y}`), undefined, `${title} lies on another panel`);
          taken.set(`${x} ${y}`, title);
        }
    }
  });

  for (const { title, datasource, targets = [] } of shown)
    test(`"${title}" asks the chosen data source for the chosen hosts`, () => {
      assert.deepEqual(datasource, DATA_SOURCE);
      assert.ok(targets.length > 0);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length);
      for (const target of targets) {
        assert.deepEqual(target.datasource, DATA_SOURCE);
        const selectors = target.expr.match(/\b(?:l7egg|process|nodejs)_\w+(\{[^}]*\})?/gu) ?? [];
        assert.ok(selectors.length > 0, target.expr);
        for (const selector of selectors) assert.match(selector, /\{instance=~"\$instance"[,}]/u);
      }
    });
});
