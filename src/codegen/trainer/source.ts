/** @file `trainer.ts` and the JavaScript beside it, written with ts-morph. */

import { Project, QuoteKind, type SourceFile, ts, VariableDeclarationKind } from 'ts-morph';
import type { Program } from '../../runtime/program.ts';

export interface UnitCost {
  readonly site: string;
  /** What it costs, in a few words for a comment. */
  readonly note: string;
}

export interface TrainerFacts {
  readonly name: string;
  /** Lines of the file's head, without comment signs. */
  readonly head: readonly string[];
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

/** The text of `trainer.ts`, which has types and comments, and compiles at the strictest settings. */
export function trainerSource(facts: TrainerFacts): string {
  const project = new Project({ useInMemoryFileSystem: true, manipulationSettings: { quoteKind: QuoteKind.Single } });
  const file = project.createSourceFile('trainer.ts');
  addHead(file, facts);
  addFacts(file, facts);
  addTrainer(file, facts);
  file.formatText({ indentSize: 2 });
  return spaced(file.getFullText());
}

function addHead(file: SourceFile, { head }: TrainerFacts): void {
  file.addStatements(`/**\n${head.map((line) => ` * ${commented(line)}`.trimEnd()).join('\n')}\n */`);
  const types = ['RunOptions', 'TrainerPackage', 'TrainerRun', 'TrainReport'].map((name) => ({ name, isTypeOnly: true }));
  file.addImportDeclaration({ moduleSpecifier: 'ebb/trainer', namedImports: ['openRun', 'startTrainer', ...types] });
  file.addExportDeclaration({ moduleSpecifier: 'ebb/trainer', namedExports: ['openPage', 'trainInPage'] });
}

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

/** The loop that the command line runs. */
const TRAIN = `/**
 * Trains as the options say: \`node trainer.js\` runs this with the options that its flags are. Change it as you like, or write another one
 * with \`openRun\`; \`run.steps\` also takes batches of your own.
 */
export async function train(options: RunOptions): Promise<TrainReport> {
  const run: Run = await openRun<StepInputs, Unit, Parameter>(trainer, options);
  try {
    for await (const step of run.steps(run.batches)) {
      // step.loss and step.gradNorm are of this step, step.dropped names the units whose backward it left out
      run.show(step);
    }
    return await run.save();
  } finally {
    run.close();
  }
}`;

/** The package as `ebb/trainer` takes it, and what starts it. */
function addTrainer(file: SourceFile, { name, dropRate }: TrainerFacts): void {
  const fields = [
    `name: ${quoted(name)}`,
    "folder: new URL('.', import.meta.url)",
    'units: UNITS',
    'bounds: BOUNDS',
    ...(dropRate === null ? [] : [`dropRate: ${dropRate}`]),
  ];
  addConstant(
    file,
    { name: 'trainer', type: 'TrainerPackage', initializer: `{\n${fields.map((field) => `  ${field},`).join('\n')}\n}` },
    'The compiled model beside this file: plan.json, kernels/, and tables.safetensors if it has tables.',
  );
  file.addTypeAlias({
    isExported: true,
    name: 'Run',
    type: 'TrainerRun<StepInputs, Unit, Parameter>',
    docs: doc('A run of this trainer: its batches hold `StepInputs`, its steps drop some of `UNITS`, and it reads `PARAMETERS`.'),
  });
  file.addStatements(TRAIN);
  file.addStatements(
    '// the command line, when Node runs this file; a page imports `trainer` and `openPage` instead\nawait startTrainer(trainer, import.meta.url, train);',
  );
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
export function javascriptOf(source: string): string {
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: false },
    fileName: 'trainer.ts',
  });
  return outputText;
}
