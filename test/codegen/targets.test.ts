/** @file A target that src/ does not know: what it takes, and that models compile for it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rows } from '../../src/codegen/kernel/attention/rows/schedule.ts';
import type { ChooseSchedule } from '../../src/codegen/kernel/lower/choice.ts';
import { PLAIN } from '../../src/codegen/kernel/matmul/register/schedule.ts';
import { scheduleText } from '../../src/codegen/kernel/schedules.ts';
import type { Target } from '../../src/codegen/targets/target.ts';
import { WGSL } from '../../src/codegen/targets/wgsl/wgsl.ts';
import { type Compiled, compileModel } from '../../src/compile/compile.ts';
import { SEXPR } from '../support/sexprTarget.ts';
import { CPU_DEVICE, type TinyOptions, tinyModel } from '../support/tinyModels.ts';

const compiled = (options: TinyOptions, target = SEXPR): Compiled => compileModel(tinyModel(options), { device: CPU_DEVICE, target });

describe.each<[string, TinyOptions]>([
  ['llama', {}],
  ['gpt2', { kind: 'gpt2' }],
  ['an adapter on q4_0', { dtype: 'q4_0', lora: true, hiddenSize: 32, intermediateSize: 64, headDim: 8 }],
])('a target from outside, %s', (_name, options) => {
  const { program } = compiled(options);

  it('prints every kernel, names clear of its own', () => {
    expect(program.pipelines.length).toBeGreaterThan(20);
    for (const { name, code } of program.pipelines) {
      expect(code.startsWith(`(kernel ${name} (`)).toBe(true);
      expect(code.split('(')).toHaveLength(code.split(')').length);
      const declared = [...code.matchAll(/\((?:buffer|shared|let|var|for|array) (\S+)/g)].map(([, name]) => String(name));
      expect(declared.filter((name) => SEXPR.reserved.has(name))).toEqual([]);
    }
  });

  it('has the pipelines, the plans and the features of any other', () => {
    const wgsl = compiled(options, WGSL).program;
    const shape = ({ name, access, moves }: (typeof program.pipelines)[number]): object => ({ name, access, moves });
    expect(program.pipelines.map(shape)).toEqual(wgsl.pipelines.map(shape));
    expect(program.functions).toEqual(wgsl.functions);
    expect(program.pipelines.map(({ features }) => features.includes('lanes-that-talk'))).toEqual(
      wgsl.pipelines.map(({ features }) => features.includes('subgroups')),
    );
  });
});

it('a target may start with schedules of its own', () => {
  const lanes = rows({ lanes: 8, rows: 1 });
  const target: Target = {
    ...SEXPR,
    schedules: { matmul: { standard: () => PLAIN, candidates: () => [] }, attention: { standard: () => lanes, candidates: () => [] } },
  };
  const started = new Map<string, Set<string>>([
    ['matmul', new Set()],
    ['attention', new Set()],
  ]);
  const choose: ChooseSchedule = ({ kind, standard, candidates }) => {
    expect(candidates).toEqual([]);
    started.get(kind)!.add(scheduleText(standard.schedule));
    return standard;
  };
  compileModel(tinyModel({}), { device: { ...CPU_DEVICE, choose }, target });
  expect([...started].map(([kind, texts]) => [kind, ...texts])).toEqual([
    ['matmul', scheduleText(PLAIN)],
    ['attention', scheduleText(lanes)],
  ]);
});

it('only the list of targets names WGSL', () => {
  const root = join(__dirname, '../../src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts') && !file.includes(join('targets', 'wgsl')));
  const naming = files.filter((file) => /\/wgsl\//.test(readFileSync(join(root, file), 'utf8')));
  expect(naming.sort()).toEqual([
    // the list of targets
    'codegen/targets/targets.ts',
    // the text of the kernel IR, whose statements read like WGSL's
    'inspect/stages.ts',
  ]);
});
