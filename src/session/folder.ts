/** @file Writes the folder of `ebb compile`. It replaces the files of an earlier trainer, and never those of a person. */

import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EbbError } from '../errors.ts';
import { fileError } from '../formats/files.ts';
import { writeSafetensors, writeTextAside } from '../formats/safetensors.ts';
import { checkOutFolder, type InputPath } from '../run/outputs.ts';
import { isPlan } from '../runtime/planFile.ts';

import type { TracedModel } from '../trace/trace.ts';
import { PLAN_FILE, TABLES_FILE } from '../trainer/package.ts';
import { bundleTrainer, COMMAND_LINE } from './standalone.ts';

/** The files that an earlier trainer may have left, and that a new one may not have. */
const OWN = ['kernels', 'ir', TABLES_FILE, COMMAND_LINE, 'index.html', 'node_modules/ebb', 'node_modules/webgpu'];

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
  const bundles = standalone ? await bundleTrainer(files.get('trainer.ts') ?? '') : new Map<string, Uint8Array>();
  const tables = traced.params.flatMap((p) => (p.table ? [{ name: p.name, dtype: 'F32' as const, shape: p.shape, data: p.table }] : []));
  // a link is taken away itself, and what it points at stays
  const own = OWN.filter((name) => !lstatSync(join(out, name), { throwIfNoEntry: false })?.isSymbolicLink());
  checkOutFolder(out, '--out', [...own, ...files.keys(), ...bundles.keys()], inputs);
  try {
    for (const name of OWN) rmSync(join(out, name), { recursive: true, force: true });
    for (const [path, text] of files) {
      mkdirSync(dirname(join(out, path)), { recursive: true });
      writeTextAside(join(out, path), text);
    }
    if (tables.length > 0) writeSafetensors(join(out, TABLES_FILE), tables, {});
    for (const [path, bytes] of bundles) writeFileSync(join(out, path), bytes);
    linkPackages(out, standalone);
  } catch (error) {
    throw fileError(out, error);
  }
}

/** Links node_modules to the packages that made the folder, so that it runs at once. On another machine `npm install` does this. */
function linkPackages(out: string, standalone: boolean): void {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
  const target = standalone ? dirname(createRequire(import.meta.url).resolve('webgpu')) : root;
  const link = join(out, 'node_modules', standalone ? 'webgpu' : 'ebb');
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link, 'junction');
}
