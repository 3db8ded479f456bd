/** @file Writes the folder of `ebb compile`. It replaces the files of an earlier trainer, and never those of a person. */

import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EBB_STUB } from '../codegen/trainer/text.ts';
import { EbbError, invariant, option } from '../errors.ts';
import { fileError, makeFolder } from '../formats/files.ts';
import { writeSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { checkOutFolder, type InputPath } from '../run/outputs.ts';
import { isPlan } from '../runtime/planFile.ts';

import type { TracedModel } from '../trace/trace.ts';
import { PLAN_FILE, TABLES_FILE } from '../trainer/package.ts';
import { MANIFEST } from '../version.ts';
import { bundleTrainer, COMMAND_LINE } from './standalone.ts';
import { stubFiles } from './stub.ts';

/** The files that an earlier trainer may have left, and that a new one may not have. */
const OWN = ['kernels', 'ir', TABLES_FILE, COMMAND_LINE, 'index.html', EBB_STUB, 'node_modules/ebb', 'node_modules/webgpu'];

/** @throws EbbError where `out` is a file, or a folder that holds something other than a trainer */
export function checkFolder(out: string): void {
  if (!existsSync(out)) return;
  let files: readonly string[];
  try {
    files = readdirSync(out).filter((name) => !name.startsWith('.'));
  } catch (error) {
    throw fileError(out, error);
  }
  const plan = join(out, PLAN_FILE);
  if (files.length > 0 && !(existsSync(plan) && isPlan(readFileSync(plan, 'utf8'))))
    throw new EbbError(`${out}: is a folder with other files (${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}); give a new folder (-o)`);
}

/**
 * Writes a package, in place of an earlier one.
 * @param inputs the files that it was made of
 * @throws EbbError where a file cannot be written, or an input would be written over
 */
export async function writeFolder(
  out: string,
  files: ReadonlyMap<string, string>,
  traced: TracedModel,
  { standalone, inputs }: { readonly standalone: boolean; readonly inputs: readonly InputPath[] },
): Promise<void> {
  const source = (name: string): string => {
    const text = files.get(name);
    invariant(text !== undefined, `a package has no ${name}`);
    return text;
  };
  const bundles = standalone ? await bundleTrainer({ trainer: source('trainer.ts'), model: source('model.ts') }) : new Map<string, Uint8Array>();
  const tables = traced.params.flatMap((p) => (p.table ? [{ name: p.name, dtype: 'F32' as const, shape: p.shape, data: p.table }] : []));
  // a link is taken away itself, and what it points at stays
  const own = OWN.filter((name) => !lstatSync(join(out, name), { throwIfNoEntry: false })?.isSymbolicLink());
  checkOutFolder(out, option('out'), [...own, ...files.keys(), ...bundles.keys()], inputs);
  try {
    for (const name of OWN) rmSync(join(out, name), { recursive: true, force: true });
    for (const [path, text] of files) {
      makeFolder(dirname(join(out, path)));
      writeTextAside(join(out, path), text);
    }
    if (tables.length > 0) writeSafetensors(join(out, TABLES_FILE), tables, {});
    for (const [path, bytes] of bundles) writeFileSync(join(out, path), bytes);
    writeStubs(out, standalone);
  } catch (error) {
    throw fileError(out, error);
  }
}

/** Where this package lies. */
const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** This package, as a stub. */
function ebbStub(): ReadonlyMap<string, string> {
  const { name, version, exports } = MANIFEST;
  const entries = Object.entries(exports).map(([entry, files]) => [entry, { types: join(ROOT, files.types), code: join(ROOT, files.default) }] as const);
  return stubFiles(name, version, Object.fromEntries(entries));
}

/** The package that runs WebGPU in Node, as a stub. Its version is none that `npm install` is content with, so that it gets the package itself. */
const webgpuStub = (): ReadonlyMap<string, string> => stubFiles('webgpu', '0.0.0', { '.': { code: createRequire(import.meta.url).resolve('webgpu') } });

function writeFiles(folder: string, files: ReadonlyMap<string, string>): void {
  makeFolder(folder);
  for (const [file, text] of files) writeFileSync(join(folder, file), text);
}

/** Writes what makes the folder run, and its types check, at once on this machine. On another one packages are installed. */
function writeStubs(out: string, standalone: boolean): void {
  const ebb = ebbStub();
  writeFiles(join(out, EBB_STUB), ebb);
  const [needed, files] = standalone ? ['webgpu', webgpuStub()] : ['ebb', ebb];
  writeFiles(join(out, 'node_modules', needed), files);
}
