/** @file Values carry the names and the lines of the definition, through helpers and loops. A difference in names alone makes no separate function. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileModel } from '../../src/compile/compile.ts';
import { definitionLoader, traceDefinition } from '../../src/definition/load.ts';
import { stageText } from '../../src/inspect/stages.ts';
import { printFunc, printModule } from '../../src/ir/print.ts';
import { param, unit } from '../../src/trace/context.ts';
import { mean } from '../../src/trace/math.ts';
import { named, qualifiedName } from '../../src/trace/naming.ts';
import { mul, relu } from '../../src/trace/nn.ts';
import { type TracedModel, traceModel } from '../../src/trace/trace.ts';
import { CPU_DEVICE } from '../support/tinyModels.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-names-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const loadDefinition = definitionLoader();

async function traced(files: Readonly<Record<string, string>>): Promise<TracedModel> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return traceDefinition(await loadDefinition(join(folder, Object.keys(files)[0]!)), { dims: { B: 2 } });
}

it('through helpers in other files, loops, assignments, objects and destructuring', async () => {
  const model = await traced({
    'net.ts': `import { add, defineModel, mean, mul, section, slice, type Tensor, unit } from 'ebb';
import { gated } from './blocks.ts';

const WIDTH = 8;

/** Both halves of x [B, 8]. */
const halves = (x: Tensor): readonly [Tensor, Tensor] => [slice(x, 1, 0, 4), slice(x, 1, 4, 4)];

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', WIDTH] } },
  build: ({ x }) => {
    let stream = section('enter', () => {
      const [left, right] = halves(x);
      const both = { product: mul(left, right) };
      const product = both.product;
      let total = add(left, product);
      total = add(total, right);
      return gated('enter', total, 4, WIDTH);
    });
    for (let i = 0; i < 3; i++) {
      stream = unit(\`layers.\${i}.mlp\`, stream, (h) => {
        const out = gated(\`layers.\${i}\`, h, WIDTH, WIDTH);
        return out;
      });
    }
    const loss = mean(stream);
    return loss;
  },
});
`,
    'blocks.ts': `import { linear, mul, sigmoid, type Tensor } from 'ebb';

export function gated(name: string, x: Tensor, inputs: number, outputs: number): Tensor {
  const up = linear(\`\${name}.up\`, x, { inputs, outputs });
  const gate = sigmoid(
    linear(\`\${name}.gate\`, x, { inputs, outputs }),
  );
  return mul(up, gate);
}
`,
  });
  expect(printModule(model.module, { locs: true })).toMatchInlineSnapshot(`
"ebb 1
dims B <= 2

func @enter(input %x: f32[B,8], weight %up: f32[8,4], weight %gate: f32[8,4]) -> (f32[B,8]) {
  %left = slice %x {axis = 1, start = 0, size = 4} : f32[B,4] loc(net.ts:7:59)
  %right = slice %x {axis = 1, start = 4, size = 4} : f32[B,4] loc(net.ts:7:78)
  %product = mul %left, %right : f32[B,4] loc(net.ts:14:31)
  %total = add %left, %product : f32[B,4] loc(net.ts:16:19)
  %total_1 = add %total, %right : f32[B,4] loc(net.ts:17:15)
  %up_1 = dot %total_1, %up^T : f32[B,8] loc(blocks.ts:4:14)
  %gate_1 = dot %total_1, %gate^T : f32[B,8] loc(blocks.ts:6:5)
  %gate_2 = sigmoid %gate_1 : f32[B,8] loc(blocks.ts:5:16)
  %mul = mul %up_1, %gate_2 : f32[B,8] loc(blocks.ts:8:10)
  return %mul
}

func @mlp(%x: f32[B,8], weight %up: f32[8,8], weight %gate: f32[8,8], scalar %branch_weight: f32[]) -> (f32[B,8]) {
  %up_1 = dot %x, %up^T : f32[B,8] loc(blocks.ts:4:14)
  %gate_1 = dot %x, %gate^T : f32[B,8] loc(blocks.ts:6:5)
  %gate_2 = sigmoid %gate_1 : f32[B,8] loc(blocks.ts:5:16)
  %out = mul %up_1, %gate_2 : f32[B,8] loc(blocks.ts:8:10)
  %y = residual %x, %out, %branch_weight : f32[B,8] loc(net.ts:21:16)
  return %y
}

func @trunk(%x: f32[B,8]) -> (f32[]) {
  %c = constant {value = 8, dtype = "f32"} : f32[]
  %broadcast = broadcast %c {shape = ["B"]} : f32[B] loc(net.ts:26:18)
  %reduce = reduce_sum %broadcast {axes = [0]} : f32[1] loc(net.ts:26:18)
  %count = reshape %reduce {shape = []} : f32[] loc(net.ts:26:18)
  %reduce_1 = reduce_sum %x {axes = [0, 1]} : f32[1,1] loc(net.ts:26:18)
  %div = div %reduce_1, %count : f32[1,1] loc(net.ts:26:18)
  %loss = reshape %div {shape = []} : f32[] loc(net.ts:26:18)
  return %loss
}

func @main(input %x: f32[B,8], weight %enter.up.weight: f32[8,4], weight %enter.gate.weight: f32[8,4], weight %layers.0.up.weight: f32[8,8], weight %layers.0.gate.weight: f32[8,8], scalar %branch_weight: f32[], weight %layers.1.up.weight: f32[8,8], weight %layers.1.gate.weight: f32[8,8], weight %layers.2.up.weight: f32[8,8], weight %layers.2.gate.weight: f32[8,8]) -> (f32[]) {
  %enter = call @enter [enter](%x, %enter.up.weight, %enter.gate.weight) : f32[B,8] loc(blocks.ts:8:10)
  %layers.0.mlp = call @mlp [layers.0.mlp](%enter, %layers.0.up.weight, %layers.0.gate.weight, %branch_weight) {unit = true} : f32[B,8] loc(net.ts:21:16)
  %layers.1.mlp = call @mlp [layers.1.mlp](%layers.0.mlp, %layers.1.up.weight, %layers.1.gate.weight, %branch_weight) {unit = true} : f32[B,8] loc(net.ts:21:16)
  %layers.2.mlp = call @mlp [layers.2.mlp](%layers.1.mlp, %layers.2.up.weight, %layers.2.gate.weight, %branch_weight) {unit = true} : f32[B,8] loc(net.ts:21:16)
  %trunk.0 = call @trunk [trunk.0](%layers.2.mlp) : f32[] loc(net.ts:26:18)
  return %trunk.0
}
"
`);
  const path = model.module.funcs[0]!.ops[0]!.results[0]!.loc!.path;
  expect(path).toBe(join(folder, 'net.ts'));
});

it('through modules of classes, in the call at hand: names with their site, each at its line', async () => {
  const model = await traced({
    'deep.ts': `import { defineModel, mean, type Tensor, unit } from 'ebb';
import { Attention } from './modules.ts';

const layers = Array.from({ length: 4 }, (_, i) => new Attention(\`layers.\${i}.attn\`, 8));

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 8] } },
  build: ({ x }) => {
    const out = layers.reduce((stream: Tensor, layer) => unit(layer.name, stream, (h) => layer.run(h)), x);
    return mean(out);
  },
});
`,
    'modules.ts': `import { linear, mul, sigmoid, type Tensor } from 'ebb';

interface Scores {
  weights?: Tensor;
}

/** What every module has. */
const project = (name: string, x: Tensor, width: number): Tensor => linear(name, x, { inputs: width, outputs: width });

export class Attention {
  readonly name: string;
  readonly width: number;

  constructor(name: string, width: number) {
    this.name = name;
    this.width = width;
  }

  run(x: Tensor): Tensor {
    const [q, k] = ['q', 'k'].map((part) => project(\`\${this.name}.\${part}_proj\`, x, this.width)) as [Tensor, Tensor];
    const scores: Scores = {};
    scores.weights = sigmoid(mul(q, k));
    class Values {
      readonly v = mul(project(\`\${name}.v_proj\`, x, 8), 2);
    }
    const { name } = this;
    const { v } = new Values();
    return mul(scores.weights, v);
  }
}
`,
  });
  expect(stageText({ traced: model }, 'trace', { locs: true }, { unit: 'layers.3.attn' })).toMatchInlineSnapshot(`
"ebb 1
dims B <= 2

func @attn_1(%layers[2].attn.y: f32[B,8], weight %layers.3.attn.q_proj.weight: f32[8,8], weight %layers.3.attn.k_proj.weight: f32[8,8], weight %layers.3.attn.v_proj.weight: f32[8,8], scalar %branch_weight: f32[]) -> (f32[B,8]) {
  %layers[3].attn.c = constant {value = 2, dtype = "f32"} : f32[]
  %layers[3].attn.q = dot %layers[2].attn.y, %layers.3.attn.q_proj.weight^T : f32[B,8] loc(modules.ts:8:69)
  %layers[3].attn.k = dot %layers[2].attn.y, %layers.3.attn.k_proj.weight^T : f32[B,8] loc(modules.ts:8:69)
  %layers[3].attn.mul = mul %layers[3].attn.q, %layers[3].attn.k : f32[B,8] loc(modules.ts:22:30)
  %layers[3].attn.weights = sigmoid %layers[3].attn.mul : f32[B,8] loc(modules.ts:22:22)
  %layers[3].attn.v_proj_1 = dot %layers[2].attn.y, %layers.3.attn.v_proj.weight^T : f32[B,8] loc(modules.ts:8:69)
  %layers[3].attn.v = mul %layers[3].attn.v_proj_1, %layers[3].attn.c : f32[B,8] loc(modules.ts:24:20)
  %layers[3].attn.mul_1 = mul %layers[3].attn.weights, %layers[3].attn.v : f32[B,8] loc(modules.ts:28:12)
  %layers[3].attn.y = residual %layers[2].attn.y, %layers[3].attn.mul_1, %branch_weight : f32[B,8] loc(deep.ts:9:58)
  return %layers[3].attn.y
}
"
`);
});

it('what is handed in keeps its name, whatever ops and values are called', async () => {
  const model = await traced({
    'clash.ts': `import { defineModel, dropout, mean, mul, param, unit } from 'ebb';

export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 8] } },
  build: ({ x }) => {
    const w = mul(x, x);
    let stream = mul(w, param('mul', [8]));
    for (let i = 0; i < 2; i++)
      stream = unit(\`layers.\${i}\`, stream, (h) => dropout(mul(h, param(\`layers.\${i}.branch_weight\`, [8])), 0.5));
    return mean(mul(stream, param('w', [8])));
  },
});
`,
  });
  const main = model.module.funcs.at(-1)!;
  const names = (role: string): string[] => main.params.filter((p) => p.role === role).map((p) => p.value.name);
  expect(names('weight').sort()).toEqual(['layers.0.branch_weight', 'layers.1.branch_weight', 'mul', 'w']);
  expect(names('scalar').sort()).toEqual(['branch_weight', 'seed']);
  const layer = model.module.funcs.find((f) => f.name === 'layers')!;
  expect(layer.params.map((p) => [p.role, p.value.name])).toEqual([
    ['value', 'x'],
    ['weight', 'branch_weight_1'],
    ['scalar', 'seed'],
    ['scalar', 'branch_weight'],
  ]);
  const { program } = compileModel(model, { device: CPU_DEVICE });
  const used = program.calls.flatMap((call) => call.arguments.flatMap((a) => (a.kind === 'param' ? program.params[a.param]!.name : [])));
  expect(used).toEqual(['mul', 'layers.0.branch_weight', 'layers.1.branch_weight', 'w']);
});

it('site and name are one qualified name', () => {
  expect(qualifiedName('layers.3.attn', 'q')).toBe('layers[3].attn.q');
  expect(qualifiedName('layers.3', 'q')).toBe('layers[3].q');
  expect(qualifiedName('embed', 'x')).toBe('embed.x');
  expect(qualifiedName('stages.0.blocks.12.mlp', 'gate')).toBe('stages[0].blocks[12].mlp.gate');
});

it('layers that differ in names alone are one function, which has the first names', () => {
  const model = traceModel(
    {
      inputs: { x: { dtype: 'f32', shape: ['B', 4] } },
      build: ({ x }) => {
        let y = unit('layers.0', x!, (h) => named('first', relu(mul(h, param('a', [4])))));
        y = unit('layers.1', y, (h) => named('second', relu(mul(h, param('b', [4])))));
        y = unit('layers.2', y, (h) => named('third', relu(mul(h, param('c', [4])))));
        return mean(y);
      },
    },
    { dims: { B: 2 } },
  );
  // the first reads the input of the step, the others what a layer returned
  expect(model.module.funcs.map((f) => f.name)).toEqual(['layers', 'layers_1', 'trunk', 'main']);
  expect(printFunc(model.module.funcs[1]!)).toContain('%second = relu');
  expect(model.module.funcs.at(-1)!.ops.map((op) => op.results.map((r) => r.name).join())).toEqual(['layers.0', 'layers.1', 'layers.2', 'trunk.0']);
});

it('names do not outlive a trace, and mean nothing outside of one', () => {
  const value = { name: 'v', type: { dtype: 'f32', shape: [] } } as const;
  expect(named('other', value)).toBe(value);
});

it('units and sections may be called like what the compiler makes: main, and unnamed pieces of trunk', () => {
  const model = traceModel(
    {
      inputs: { x: { dtype: 'f32', shape: ['B', 4] } },
      build: ({ x }) => {
        let y = mul(x!, param('scale', [4]));
        for (const site of ['main', 'layers.main', 'main.0', 'trunk.0']) y = unit(site, y, (h) => relu(mul(h, param(`${site}.w`, [4]))));
        return mean(mul(y, y));
      },
    },
    { dims: { B: 2 } },
  );
  const { funcs } = model.module;
  expect(funcs.map((f) => f.name)).toEqual(['trunk', 'main_1', 'trunk_1', 'main']);
  const sites = compileModel(model, { device: CPU_DEVICE }).program.calls.map((c) => c.site);
  expect(sites).toEqual(['trunk.1', 'main', 'layers.main', 'main.0', 'trunk.0', 'trunk.2']);
});
