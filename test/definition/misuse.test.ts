/** @file Messages about wrong definitions: each gives file, line and column, the reason, the line of code, and a caret below it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefinitionError } from '../../src/definition/diagnostic.ts';
import { definitionLoader, traceDefinition } from '../../src/definition/load.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ebb-definition-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const loadDefinition = definitionLoader();
let count = 0;
/** Writes files, loads and traces the first of them, and returns the text of the error without the folder. */
async function errorOf(files: Readonly<Record<string, string>> | string): Promise<string> {
  const all = typeof files === 'string' ? { [`m${count++}.ts`]: files } : files;
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text);
  try {
    traceDefinition(await loadDefinition(join(folder, Object.keys(all)[0]!)), { dims: { B: 2, T: 4 } });
    return 'no error';
  } catch (error) {
    return String((error as Error).message)
      .replaceAll(`${folder}/`, '')
      .replace(/m\d+\.ts/g, 'm.ts');
  }
}

const model = (body: string, imports: string, before = ''): string => `import { defineModel, mean, type Tensor, ${imports} } from 'ebb';
${before}
export const model = defineModel({
  inputs: { x: { dtype: 'f32', shape: ['B', 8] } },
  build: ({ x }) => {
    ${body}
  },
});
`;

describe('before tracing', () => {
  it('a type error', async () => {
    expect(await errorOf(model('return mean(relu(x, 3));', 'relu'))).toMatchInlineSnapshot(`
"m.ts:6:25: TS2554: Expected 1 arguments, but got 2.
      return mean(relu(x, 3));
                          ^"
`);
  });

  it('a syntax error', async () => {
    expect(await errorOf(model('return mean(x;', 'relu'))).toMatchInlineSnapshot(`
"m.ts:6:18: TS1005: ')' expected.
      return mean(x;
                   ^"
`);
  });

  it('every error of every file is reported', async () => {
    const text = await errorOf({
      'two.ts': `import { width } from './sizes.ts';\n${model('const y: number = relu(x);\n    return mean(x);', 'relu')}\nexport const w: string = width;\n`,
      'sizes.ts': 'export const width = 8;\nexport const depth: string = width;\n',
    });
    expect(text).toMatchInlineSnapshot(`
"sizes.ts:2:14: TS2322: Type 'number' is not assignable to type 'string'.
  export const depth: string = width;
               ^

two.ts:7:11: TS2322: Type 'Value' is not assignable to type 'number'.
      const y: number = relu(x);
            ^

two.ts:12:14: TS2322: Type 'number' is not assignable to type 'string'.
  export const w: string = width;
               ^"
`);
  });

  it('an input that is not declared', async () => {
    expect(
      await errorOf(
        `import { defineModel, mean } from 'ebb';\nexport const model = defineModel({ inputs: { x: { dtype: 'f32', shape: ['B'] } }, build: ({ y }) => mean(y) });\n`,
      ),
    ).toMatchInlineSnapshot(`
"m.ts:2:93: TS2339: Property 'y' does not exist on type '{ readonly x: Value; }'.
  export const model = defineModel({ inputs: { x: { dtype: 'f32', shape: ['B'] } }, build: ({ y }) => mean(y) });
                                                                                              ^"
`);
  });

  it('branches on traced values, of every kind', async () => {
    const body = `const y = relu(x);
    if (relu(x)) return mean(x);
    while (!relu(x)) console.log(1);
    for (let z = x; z; z = relu(z)) console.log(1);
    const a = x ? mean(x) : mean(y);
    const b = mean(a) && relu(x);
    const c = (b || relu(x)) ?? a;
    switch (relu(c)) {
      default:
        return y === x ? mean(x) : mean(y);
    }`;
    const text = await errorOf(model(body, 'relu'));
    expect(text.match(/^m\.ts:\S+ a branch that depends on a traced value: \S+ asks for .*?;/gm)).toMatchInlineSnapshot(`
[
  "m.ts:7:9: a branch that depends on a traced value: if asks for \`relu(x)\`, a Tensor;",
  "m.ts:8:13: a branch that depends on a traced value: while asks for \`relu(x)\`, a Tensor;",
  "m.ts:9:21: a branch that depends on a traced value: for asks for \`z\`, a Tensor;",
  "m.ts:10:15: a branch that depends on a traced value: ?: asks for \`x\`, a Tensor;",
  "m.ts:11:15: a branch that depends on a traced value: && asks for \`mean(a)\`, a Tensor;",
  "m.ts:12:16: a branch that depends on a traced value: || asks for \`b\`, a Tensor;",
  "m.ts:13:13: a branch that depends on a traced value: switch asks for \`relu(c)\`, a Tensor;",
  "m.ts:15:16: a branch that depends on a traced value: ?: asks for \`y === x\`, a comparison of two Tensors;",
]
`);
    expect(text.split('\n\n')[0]).toMatchInlineSnapshot(`
"m.ts:7:9: a branch that depends on a traced value: if asks for \`relu(x)\`, a Tensor; its numbers are known when a step runs, not when the model is traced. Use select(condition, yes, no), or branch on a number of the definition
      if (relu(x)) return mean(x);
          ^"
`);
  });

  it('comparing tensors, and making a boolean of one, whatever becomes of the answer', async () => {
    const body = `const y = relu(x);
    const larger = y > x;
    const there = Boolean(y);
    const absent = !y;
    if (y <= x) return mean(x);
    return larger || there || absent ? mean(y) : mean(x);`;
    expect((await errorOf(model(body, 'relu'))).match(/^m\.ts:\S+ a branch that depends on a traced value: \S+ asks for .*?;/gm)).toMatchInlineSnapshot(`
[
  "m.ts:7:20: a branch that depends on a traced value: > asks for \`y > x\`, a comparison of two Tensors;",
  "m.ts:8:27: a branch that depends on a traced value: Boolean() asks for \`y\`, a Tensor;",
  "m.ts:9:21: a branch that depends on a traced value: ! asks for \`y\`, a Tensor;",
  "m.ts:10:9: a branch that depends on a traced value: if asks for \`y <= x\`, a comparison of two Tensors;",
]
`);
  });

  it('operators between tensors, with the function to use', async () => {
    const body = "const y = x * relu(x);\n    return mean(unit('a', y, (h) => h + relu(h)));";
    expect(await errorOf(model(body, 'relu, unit'))).toMatchInlineSnapshot(`
"m.ts:6:15: TS2362: The left-hand side of an arithmetic operation must be of type 'any', 'number', 'bigint' or an enum type; tensors have no operators: use mul(a, b)
      const y = x * relu(x);
                ^

m.ts:6:19: TS2363: The right-hand side of an arithmetic operation must be of type 'any', 'number', 'bigint' or an enum type; tensors have no operators: use mul(a, b)
      const y = x * relu(x);
                    ^

m.ts:7:27: TS2345: Argument of type 'number' is not assignable to parameter of type 'Value'.
      return mean(unit('a', y, (h) => h + relu(h)));
                            ^

m.ts:7:37: TS2365: Operator '+' cannot be applied to types 'Tensor' and 'Tensor'; tensors have no operators: use add(a, b); inside unit() return the branch alone, since unit() adds it to its input
      return mean(unit('a', y, (h) => h + relu(h)));
                                      ^"
`);
  });

  it('asking whether an optional tensor is there is no branch on its value', async () => {
    const helper =
      'const shifted = (x: Tensor, bias?: Tensor): Tensor => (bias ? add(x, bias) : x);\nconst first = (x: Tensor | null, y: Tensor): Tensor => x ?? y;';
    expect(await errorOf(model('return mean(shifted(first(null, x)));', 'add', helper))).toBe('no error');
  });
});

describe('while tracing', () => {
  it('a shape that does not fit, inside a helper', async () => {
    const helper = "function project(x: Tensor, width: number): Tensor {\n  const w = param('w' + width, [width, 4]);\n  return matmul(x, w);\n}";
    expect(await errorOf(model('const y = project(x, 8);\n    return mean(project(y, 5));', 'matmul, param', helper))).toMatchInlineSnapshot(`
"m.ts:4:10: dot C2: contracted axes must agree, found [4] of f32[B,4] and [5] of f32[5,4]; is a transpose missing?
    return matmul(x, w);
           ^"
`);
  });

  it('a unit whose branch changes the shape', async () => {
    expect(
      await errorOf(model("return mean(unit('layers.0', x, (y) => linear('up', y, { inputs: 8, outputs: 16 })));", 'linear, unit')),
    ).toMatchInlineSnapshot(`
"m.ts:6:17: unit layers.0: the branch must have the type of its input f32[B,8], found f32[B,16] (made at m.ts:6:44); project it back in the branch
      return mean(unit('layers.0', x, (y) => linear('up', y, { inputs: 8, outputs: 16 })));
                  ^"
`);
  });

  it('a unit whose branch adds its input', async () => {
    expect(await errorOf(model("const y = unit('layers.0', x, (h) => add(h, relu(h)));\n    return mean(y);", 'add, relu, unit'))).toMatchInlineSnapshot(`
"m.ts:6:15: unit layers.0: the branch adds its own input (made at m.ts:6:42), and the unit adds it again; return the branch alone, without x
      const y = unit('layers.0', x, (h) => add(h, relu(h)));
                ^"
`);
  });

  it('a unit whose branch does not read its input', async () => {
    expect(
      await errorOf(model("const side = relu(x);\n    const y = unit('layers.0', x, () => relu(side));\n    return mean(y);", 'relu, unit')),
    ).toMatchInlineSnapshot(`
"m.ts:7:15: unit layers.0: the branch does not depend on its input (made at m.ts:7:41); compute it from the argument that the branch is given, or outside of the unit
      const y = unit('layers.0', x, () => relu(side));
                ^"
`);
  });

  it('a unit whose branch is its input', async () => {
    expect(await errorOf(model("return mean(unit('layers.0', x, (h) => h));", 'unit'))).toMatchInlineSnapshot(`
"m.ts:6:17: unit layers.0: the branch returns its input; return what is to be added to it
      return mean(unit('layers.0', x, (h) => h));
                  ^"
`);
  });

  it('units that nest, and names used twice', async () => {
    expect(await errorOf(model("return mean(unit('a', x, (h) => unit('b', h, relu)));", 'relu, unit'))).toMatchInlineSnapshot(`
"m.ts:6:37: unit b starts inside a; units and sections do not nest: end a first
      return mean(unit('a', x, (h) => unit('b', h, relu)));
                                      ^"
`);
    expect(await errorOf(model("const y = unit('a', x, relu);\n    return mean(unit('a', y, relu));", 'relu, unit'))).toMatchInlineSnapshot(`
"m.ts:7:17: a names two units or sections; give each its own name: in a loop, put its counter in the name, such as layers.0, layers.1
      return mean(unit('a', y, relu));
                  ^"
`);
  });

  it('a parameter declared again by the same line', async () => {
    const body = "let y = x;\n    for (let i = 0; i < 2; i++) y = linear('fc', y, { inputs: 8, outputs: 8 });\n    return mean(y);";
    expect(await errorOf(model(body, 'linear'))).toMatch(
      /parameter fc\.weight is declared twice: .*; otherwise put what differs in the name, such as the counter of a loop: layers\.0\.fc, layers\.1\.fc\n/,
    );
  });

  it('a linear layer that was told another width', async () => {
    expect(await errorOf(model("return mean(linear('fc', x, { inputs: 16, outputs: 8 }));", 'linear'))).toMatch(
      /^m\.ts:6:\d+: linear fc: inputs is 16, but x is f32\[B,8\]; give inputs: 8, or an x whose last axis is 16\n/,
    );
  });

  it('a parameter declared twice', async () => {
    expect(
      await errorOf(model("const up = param('w', [8]);\n    const down = param('w', [8]);\n    return mean(mul(mul(x, up), down));", 'mul, param')),
    ).toMatchInlineSnapshot(`
"m.ts:7:18: parameter w is declared twice: first const up at m.ts:6:16, again const down at m.ts:7:18; if both are one weight, pass { tied: true } to the second; otherwise give it another name
      const down = param('w', [8]);
                   ^"
`);
    expect(
      await errorOf(model("const up = param('w', [8]);\n    const down = param('w', [1, 8]);\n    return mean(mul(mul(x, up), down));", 'mul, param')),
    ).toMatchInlineSnapshot(`
"m.ts:7:18: parameter w is [8] where it is first declared (const up at m.ts:6:16) and [1,8] here; give the second one another name
      const down = param('w', [1, 8]);
                   ^"
`);
  });

  it('a tied parameter that nothing else declares', async () => {
    expect(
      await errorOf(model("const up = param('up', [8]);\n    return mean(mul(up, mul(x, param('upp', [8], { tied: true }))));", 'mul, param')),
    ).toMatchInlineSnapshot(`
"m.ts:7:32: parameter upp is tied, but nothing else declares it; the others are up
      return mean(mul(up, mul(x, param('upp', [8], { tied: true }))));
                                 ^"
`);
    expect(await errorOf(model("const up = param('up', [8]);\n    return mean(mul(up, mul(x, param('up', [8], { tied: true }))));", 'mul, param'))).toBe(
      'no error',
    );
  });

  it('a parameter whose shape is no shape', async () => {
    expect(await errorOf(model("return mean(mul(x, param('w', [8.5])));", 'mul, param'))).toMatchInlineSnapshot(`
"m.ts:6:24: parameter w has shape [8.5]: 8.5 is no size, expected whole numbers, 1 or more
      return mean(mul(x, param('w', [8.5])));
                         ^"
`);
    expect(await errorOf(model("return mean(mul(x, param('w', [0])));", 'mul, param'))).toMatch(/^m\.ts:6:24: parameter w has shape \[0\]: 0 is no size/);
  });

  it('names that the IR cannot hold, and names that two things have', async () => {
    expect(await errorOf(model("return mean(mul(x, param('my weight', [8])));", 'mul, param'))).toMatchInlineSnapshot(`
"m.ts:6:24: parameter "my weight": expected a name of letters, digits, _ and dots, as in layers.3.attn.q.weight
      return mean(mul(x, param('my weight', [8])));
                         ^"
`);
    expect(await errorOf(model("return mean(mul(x, param('x', [8])));", 'mul, param'))).toMatchInlineSnapshot(`
"m.ts:6:24: parameter x: the model has an input of this name; give one of them another name
      return mean(mul(x, param('x', [8])));
                         ^"
`);
    expect(await errorOf(model("const y = unit('a', x, relu);\n    return mean(mul(y, param('branch_weight', [8])));", 'mul, param, relu, unit'))).toMatch(
      /^m\.ts:7:24: parameter branch_weight: the model has a run-time scalar of this name; give one of them another name\n/,
    );
    expect(await errorOf(model("return mean(unit('layer one', x, relu));", 'relu, unit'))).toMatchInlineSnapshot(`
"m.ts:6:17: unit "layer one": expected a name of letters, digits, _, - and dots, as in layers.3.attn
      return mean(unit('layer one', x, relu));
                  ^"
`);
    expect(await errorOf(model("return mean(unit('', x, relu));", 'relu, unit'))).toMatch(/^m\.ts:6:17: unit "": expected a name/);
    expect(await errorOf(model("return mean(section('a,b', () => relu(x)));", 'relu, section'))).toMatch(/^m\.ts:6:17: section "a,b": expected a name/);
  });

  it('a build that returns no tensor', async () => {
    const returned = (what: string): Promise<string> => errorOf(model(`return (${what}) as unknown as Tensor;`, 'relu').replace(', relu', ''));
    expect(await returned('Promise.resolve(mean(x))')).toMatchInlineSnapshot(
      `"build returns a promise, expected a tensor it computed from its inputs, or a list of tensors; build may not be async"`,
    );
    expect(await returned('undefined')).toMatchInlineSnapshot(
      `"build returns undefined, expected a tensor it computed from its inputs, or a list of tensors; is a return missing?"`,
    );
    expect(await returned('3')).toMatchInlineSnapshot(
      `"build returns number 3, expected a tensor it computed from its inputs, or a list of tensors; return the loss"`,
    );
    expect(await returned('[]')).toMatchInlineSnapshot(
      `"build returns an empty list, expected a tensor it computed from its inputs, or a list of tensors; return the loss"`,
    );
    expect(await returned("{ name: 'x' }")).toMatchInlineSnapshot(
      `"build returns an object that is no tensor of this model, expected a tensor it computed from its inputs, or a list of tensors; return the loss"`,
    );
  });

  it('an error of the definition itself', async () => {
    const helper = "function depth(): number {\n  throw new RangeError('no such depth');\n}";
    expect(await errorOf(model('return mean(mul(x, depth()));', 'mul', helper))).toMatchInlineSnapshot(`
"m.ts:3:9: RangeError: no such depth
    throw new RangeError('no such depth');
          ^"
`);
    expect(await errorOf(model('return mean(x);', 'mul', "export const sizes = JSON.parse('{');\nvoid mul;"))).toMatchInlineSnapshot(`
"m.ts:2:27: SyntaxError: Expected property name or '}' in JSON at position 1
  export const sizes = JSON.parse('{');
                            ^"
`);
  });

  it('inside a decomposition', async () => {
    const op = (name: string, decompose: string): string =>
      `const op = compositeOp({ name: '${name}', operands: ['x', 'y'], decompose: ({ x, y }) => ${decompose} });`;
    expect(await errorOf(model('return mean(op([x, x]));', 'compositeOp, mul, param', op('first', "mul(x, mul(y, param('w', [8])))")))).toMatchInlineSnapshot(`
"m.ts:6:17: first: in its decomposition, m.ts:2:102: parameter w is declared inside the decomposition of first; a decomposition may use its operands only: pass it as one of them
      return mean(op([x, x]));
                  ^"
`);
    expect(await errorOf(model('return mean(op([x, x]));', 'compositeOp, matmul', op('second', 'matmul(x, y)')))).toMatchInlineSnapshot(`
"m.ts:6:17: second: in its decomposition, dot C2: contracted axes must agree, found [8] of f32[B,8] and [B] of f32[B,8]; is a transpose missing?
      return mean(op([x, x]));
                  ^"
`);
  });

  it('a dimension without a bound', async () => {
    expect(await errorOf(model('return mean(x);', 'relu').replace("'B', 8", "'N', 8").replace(', relu', ''))).toMatchInlineSnapshot(
      `"input x is [N, 8], and nothing says how large N may be; bound it in the model's dims: { N: 16 }"`,
    );
  });

  it('dimensions that the optimizer has, or more than there is room for', async () => {
    const sized = (...dims: string[]): Promise<string> =>
      errorOf(
        model('return mean(x);', 'relu')
          .replace("'B', 8", dims.map((d) => `'${d}'`).join(', '))
          .replace(', relu', '')
          .replace('  build', `  dims: { ${dims.map((d) => `${d}: 2`).join(', ')} },\n  build`),
      );
    expect(await sized('B', 'N')).toMatchInlineSnapshot(`"dimension N: N, Q, G are dimensions of the optimizer; give it another name"`);
    expect(await sized('B', 'T', 'H', 'W')).toBe('no error');
    expect(await sized('B', 'T', 'H', 'W', 'K')).toMatchInlineSnapshot(
      `"the model has 5 run-time dimensions (B, T, H, W, K), at most 4 fit; write the others as numbers"`,
    );
  });
});

describe('what is exported', () => {
  it('nothing, no model, or several', async () => {
    expect(await errorOf('const a = 1;\nexport {};\nvoid a;\n')).toMatchInlineSnapshot(
      `"m.ts: a definition exports one model, or one called model; it exports nothing. Write export const model = defineModel({ … })"`,
    );
    expect(await errorOf('export const a = 1;\n')).toMatchInlineSnapshot(
      `"m.ts: a definition exports one model, or one called model; it exports a, of which none is a model. Write export const model = defineModel({ … })"`,
    );
    const two = model('return mean(x);', 'defineModel as d').replace(
      'export const model',
      'export const first = d({ inputs: {}, build: () => [] });\nexport const second',
    );
    expect(await errorOf(two)).toMatchInlineSnapshot(
      `"m.ts: a definition exports one model, or one called model; it exports first, second, of which several are models and none is called model. Write export const model = defineModel({ … })"`,
    );
  });

  it('a file that is not there, or no TypeScript', async () => {
    await expect(loadDefinition(join(folder, 'absent.ts'))).rejects.toThrow('there is no such file');
    writeFileSync(join(folder, 'model.json'), '{}');
    await expect(loadDefinition(join(folder, 'model.json'))).rejects.toThrow('a definition is a TypeScript file');
  });

  it('errors say where they are, for those who want no text', async () => {
    writeFileSync(join(folder, 'where.ts'), model('return mean(relu(x, 3));', 'relu'));
    const error = await loadDefinition(join(folder, 'where.ts')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DefinitionError);
    expect((error as DefinitionError).diagnostics).toMatchObject([{ path: join(folder, 'where.ts'), line: 6, column: 25 }]);
  });
});
