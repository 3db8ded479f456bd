/** @file `trainer.ts` is a loop that a person reads; `model.ts` beside it says what was compiled. Both are written with ts-morph, and their JavaScript too. */

import { Project, QuoteKind, type SourceFile, ts, VariableDeclarationKind } from 'ts-morph';
import type { Program } from '../../runtime/program.ts';

export interface UnitCost {
  readonly site: string;
  /** What it costs, in a few words for a comment. */
  readonly note: string;
}

export interface TrainerFacts {
  readonly name: string;
  readonly units: readonly UnitCost[];
  readonly program: Program;
  readonly dropRate: number | null;
}

const ARRAYS = { i32: 'Int32Array', u32: 'Uint32Array', f32: 'Float32Array' } as const;
const escaped = (char: string): string => (char < ' ' ? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}` : `\\${char}`);
const quoted = (text: string): string => `'${text.replace(/[\\'\u0000-\u001f]/g, escaped)}'`;
/** A line of a block comment, which ends neither the line nor the comment, whatever names are in it. */
const commented = (line: string): string => line.replace(/\s/g, ' ').replaceAll('*/', '* /');
const doc = (description: string) => [{ description }];
const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name));

/** The model's own dimensions: those of its inputs. */
function bounds(program: Program): readonly { readonly name: string; readonly bound: number }[] {
  const named = new Set(program.inputs.flatMap((i) => i.extent.of.filter((d) => typeof d === 'string')));
  return program.dims.filter((d) => named.has(d.name));
}

const newFile = (name: string): SourceFile =>
  new Project({ useInMemoryFileSystem: true, manipulationSettings: { quoteKind: QuoteKind.Single } }).createSourceFile(name);

/** The text of `model.ts`: the units, bounds, inputs and parameters of a compiled model. It compiles at the strictest settings. */
export function modelSource(facts: TrainerFacts): string {
  const file = newFile('model.ts');
  file.addStatements(blockComment([`What was compiled of ${facts.name}: units, bounds, inputs and parameters.`]));
  file.addImportDeclaration({ moduleSpecifier: 'ebb/trainer', namedImports: ['TrainerPackage', 'TrainerRun'].map((name) => ({ name, isTypeOnly: true })) });
  addFacts(file, facts);
  addPackage(file, facts);
  file.formatText({ indentSize: 2 });
  return spaced(file.getFullText());
}

const blockComment = (lines: readonly string[]): string => `/**\n${lines.map((line) => ` * ${commented(line)}`.trimEnd()).join('\n')}\n */`;

/** The text of `trainer.ts`. @param head lines of its head, without comment signs */
export const trainerSource = (head: readonly string[]): string => `${blockComment(head)}\n\n${TRAINER}`;

function addConstant(
  file: SourceFile,
  declaration: { readonly name: string; readonly type?: string; readonly initializer: string },
  description: string,
): void {
  file.addVariableStatement({ isExported: true, declarationKind: VariableDeclarationKind.Const, docs: doc(description), declarations: [declaration] });
}

/** What is known of the model: its units, bounds, inputs and parameters. */
function addFacts(file: SourceFile, { units, program }: TrainerFacts): void {
  const unitLines = units.map((u) => `  ${quoted(u.site)}, // ${u.note}`);
  addConstant(
    file,
    { name: 'UNITS', initializer: `[\n${unitLines.join('\n')}\n] as const` },
    'Residual branches that may lose their backward in a step, in the order they run.',
  );
  file.addTypeAlias({ isExported: true, name: 'Unit', type: '(typeof UNITS)[number]', docs: doc('A unit by name.') });
  const largest = bounds(program).map((d) => `${d.name}: ${d.bound}`);
  addConstant(file, { name: 'BOUNDS', initializer: `{ ${largest.join(', ')} } as const` }, 'Largest sizes of a step; smaller ones run with the same kernels.');
  file.addInterface({
    isExported: true,
    name: 'StepInputs',
    docs: doc('What a step is given, row-major.'),
    properties: program.inputs.map((i) => ({
      name: key(i.name),
      type: ARRAYS[i.dtype],
      isReadonly: true,
      docs: doc(`${i.dtype}[${i.extent.of.join(', ')}]`),
    })),
  });
  const trained = program.params.filter((p) => p.trainable).map((p) => `  ${key(p.name)}: [${p.shape.join(', ')}],`);
  addConstant(file, { name: 'PARAMETERS', initializer: `{\n${trained.join('\n')}\n} as const` }, 'Trained parameters and their shapes.');
  file.addTypeAlias({ isExported: true, name: 'Parameter', type: 'keyof typeof PARAMETERS', docs: doc('A trained parameter by name.') });
}

/** What `trainer.ts` holds. The command line runs its loop. */
const TRAINER = `import { openRun, startTrainer, type RunOptions, type TrainReport } from 'ebb/trainer';
import { trainer } from './model.js';

/** Trains as the options say, which are the flags of the command line. Change the loop as you like; \`run.steps\` also takes batches of your own. */
export async function train(options: RunOptions): Promise<TrainReport> {
  const run = await openRun(trainer, options);
  try {
    for await (const step of run.steps(run.batches)) {
      run.show(step); // step.loss and step.gradNorm; step.dropped names the units whose backward was left out
    }
    return await run.save();
  } finally {
    run.close();
  }
}

// the command line, where Node runs this file; a page imports \`trainer\` and \`openPage\` instead
await startTrainer(trainer, import.meta.url, train);

export { openPage, trainInPage } from 'ebb/trainer';
export * from './model.js';
`;

/** The package as `ebb/trainer` takes it. */
function addPackage(file: SourceFile, { name, dropRate }: TrainerFacts): void {
  const fields = [
    `name: ${quoted(name)}`,
    "folder: new URL('.', import.meta.url)",
    'units: UNITS',
    'bounds: BOUNDS',
    ...(dropRate === null ? [] : [`dropRate: ${dropRate}`]),
  ];
  addConstant(
    file,
    { name: 'trainer', type: 'TrainerPackage<StepInputs, Unit, Parameter>', initializer: `{\n${fields.map((field) => `  ${field},`).join('\n')}\n}` },
    'The compiled model beside this file: plan.json, kernels/, and tables.safetensors if it has tables.',
  );
  file.addTypeAlias({
    isExported: true,
    name: 'Run',
    type: 'TrainerRun<StepInputs, Unit, Parameter>',
    docs: doc('A run of this model: its batches hold `StepInputs`, its steps drop some of `UNITS`, and it reads `PARAMETERS`.'),
  });
}

/** The text with one empty line between declarations, and none between a declaration and what is said of it. */
function spaced(text: string): string {
  return `${text
    .replace(/\n(?=(?:\/\*\*|export|import|\/\/ the))/g, '\n\n')
    .replace(/(\*\/)\n+(?=export)/g, '$1\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}

/** The same without its types. */
export function javascriptOf(source: string, fileName: string): string {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: false },
    fileName,
  });
  return outputText;
}
