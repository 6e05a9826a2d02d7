/*
 * Every figure of the README, measured side by side, and the targets held against them.
 *
 * usage: targets.bench.js [SECTION]…   default: all. Exit code 1 when a target is missed.
 */
import { measureAdded } from './added-cost.ts';
import { Compiler } from './compile.ts';
import { measureFreshNames } from './fresh-names.ts';
import { measureLoading } from './load-prefixes.ts';
import { measureObserving } from './observe-cost.ts';
import { measurePaths } from './packet-paths.ts';
import { Report } from './report.ts';
import { measureRunning } from './running-cost.ts';
import { measureScrapes } from './scrapes.ts';
import { measureSubjects } from './subjects.ts';
import { measureSwap } from './swap.ts';

const SECTIONS = {
  paths: measurePaths,
  added: measureAdded,
  first: measureFreshNames,
  running: measureRunning,
  loading: measureLoading,
  swap: measureSwap,
  subjects: measureSubjects,
  scrapes: measureScrapes,
  observe: measureObserving,
};

const report = new Report();
const wanted = process.argv.slice(2);
using compiler = new Compiler();
for (const [name, measure] of Object.entries(SECTIONS)) {
  if (wanted.length === 0 || wanted.includes(name)) await measure(compiler, report);
}
report.print();
process.exitCode = report.missed === 0 ? 0 : 1;
