/** @file Collects the licences of the packages that a bundle holds parts of, since a copy has to carry them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const PACKAGE = /^(.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/;
/** The names of files whose text a copy has to carry. */
const NOTICE = /^(licen[cs]e|notice|copying)([.-].*)?$/i;

interface Manifest {
  readonly name: string;
  readonly version?: string;
  readonly license?: string;
}

function noticeOf(folder: string): { readonly name: string; readonly text: string } {
  const { name, version = '', license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  const texts = readdirSync(folder)
    .filter((file) => NOTICE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (texts.length === 0 && license === undefined)
    throw new Error(`${name}: has neither a licence file nor a licence in its package.json, and a bundle holds a part of it`);
  return { name: `${name} ${version}`.trim(), text: texts.length > 0 ? texts.join('\n\n') : `Licence: ${license}` };
}

/**
 * Returns a comment with the licences of the packages that the files of `inputs` belong to, and of the package folders `own`. Each text is in it
 * once. It is empty where there is no package.
 * @param inputs paths of the bundled files, relative to `root`
 * @throws Error for a package that does not say under which licence it is
 */
export function licenceComment(inputs: readonly string[], root: string, own: readonly string[] = []): string {
  const folders = new Set([...own, ...inputs.flatMap((path) => PACKAGE.exec(resolve(root, path))?.[1] ?? [])]);
  const names = new Map<string, string[]>();
  for (const { name, text } of [...folders].map(noticeOf)) names.set(text, [...(names.get(text) ?? []), name]);
  const notices = [...names].map(([text, of]) => `${of.sort().join(', ')}:\n${text}\n`).sort();
  return notices.length === 0 ? '' : `/*!\n${notices.join('\n').replaceAll('*/', '* /')}*/\n`;
}
