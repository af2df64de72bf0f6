import { expect, test } from 'vitest';
import { families, familyNamed } from './families/index.ts';
import { type Options, readOptions } from './options.ts';

const read = (...args: readonly string[]): Options => readOptions(args, families.redis, '/reports');
const names = ({ workloads }: Options): readonly string[] => workloads.map(({ name }) => name);

test('without arguments: three rounds of everything usual, into the report folder', () => {
  const options = read();
  expect(options).toMatchObject({ runs: 3, tasks: 100_000, seconds: 2, limitMs: 90_000, report: '/reports' });
  expect(names(options)).toEqual([
    ...['sequential', 'concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100'],
    ...['latency', 'memory', 'claim-1000', 'claim-1000000'],
  ]);
});

test('a name may be a part; one that ends in a number is whole', () => {
  expect(names(read('--workloads', 'backlog'))).toEqual(['backlog-1', 'backlog-10', 'backlog-100']);
  expect(names(read('--workloads', 'backlog-1,growth-1000'))).toEqual(['backlog-1', 'growth-1000']);
  expect(read('--subjects', 'raw').subjects).toEqual(['raw:single', 'raw:lua', 'raw:lua-arch']);
});

test('`all` includes what is left out otherwise', () => {
  expect(names(read('--workloads', 'all')).slice(-2)).toEqual(['growth-1000', 'growth-1000000']);
});

test('a subject that is there for some workloads is in no other', () => {
  const having = read().workloads.filter(({ subjects }) => subjects.includes('raw:lua-arch'));
  expect(having.map(({ name }) => name)).toEqual(['backlog-1', 'backlog-10', 'backlog-100']);
});

test('each kind of server has what belongs to it', () => {
  expect(names(readOptions(['--workloads', 'all'], families.amqp, ''))).toEqual([
    ...['concurrent', 'bulk', 'backlog-1', 'backlog-10', 'backlog-100', 'latency', 'delays'],
  ]);
});

test('an argument that is wrong is named, with what there is', () => {
  expect(() => read('--subjects', 'bulmq')).toThrow(
    /--subjects: nothing called "bulmq"[\s\S]*raw:lua, raw:lua-arch, bullmq, bee-queue/,
  );
  expect(() => read('--runs', '0')).toThrow(/--runs must be a positive number; got "0"/);
  expect(() => read('--patience=-1')).toThrow(/--patience must be zero or a positive number/);
  expect(() => familyNamed('mysql')).toThrow(/nothing called "mysql"; postgres, redis, amqp/);
});

test('a subject that batches gets the whole backlog, the others their part', () => {
  const [backlog] = read('--tasks', '1000', '--workloads', 'backlog-10').workloads;
  expect([backlog?.fill(true), backlog?.fill(false)]).toEqual([1000, 200]);
});

test('all names a family mentions are subjects of it', () => {
  for (const family of Object.values(families)) {
    const known = Object.keys(family.subjects);
    const mentioned = [
      ...family.latency,
      ...Object.keys(family.only),
      ...family.growth,
      ...Object.values(family.ceilings),
    ];
    const targets = family.targets.flatMap((target) => ('than' in target ? [target.than] : []));
    expect(known).toEqual(expect.arrayContaining([...mentioned, ...targets.filter((than) => than !== 'best peer')]));
  }
});
