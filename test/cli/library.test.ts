/** @file The command line is a user of the library: what commands take out of src/session is what the package exports. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Project, type SourceFile } from 'ts-morph';
import { ROOT } from '../support/cli.ts';

const project = new Project({ tsConfigFilePath: join(ROOT, 'tsconfig.json'), skipAddingFilesFromTsConfig: true });
const exported = new Set(project.addSourceFileAtPath(join(ROOT, 'src/index.ts')).getExportedDeclarations().keys());

/** Names that only the command line has a use for: what it says of flags and of its own reports. */
const OF_THE_COMMAND_LINE = ['STAGES', 'checkWay', 'isDump', 'wayOf', 'MEASURED_SIZE'];

const sources = (folder: string): SourceFile[] =>
  readdirSync(join(ROOT, folder), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => project.addSourceFileAtPath(join(ROOT, folder, name)));

it('commands take nothing out of src/session that the package does not export', () => {
  const beneath = sources('src/cli').flatMap((file) =>
    file
      .getImportDeclarations()
      .filter((declaration) => declaration.getModuleSpecifierValue().includes('/session/'))
      .flatMap((declaration) => declaration.getNamedImports().map((named) => named.getName()))
      .filter((name) => !exported.has(name) && !OF_THE_COMMAND_LINE.includes(name))
      .map((name) => `${file.getBaseName()}: ${name}`),
  );
  expect(beneath).toEqual([]);
});

it('commands compile, link and run nothing themselves', () => {
  const own = sources('src/cli').flatMap((file) =>
    file
      .getImportDeclarations()
      .filter((d) => !d.isTypeOnly() && /\/(compile\/compile|runtime\/execute|train\/loop|run\/run)\.ts$/.test(d.getModuleSpecifierValue()))
      .map((d) => `${file.getBaseName()}: ${d.getModuleSpecifierValue()}`),
  );
  expect(own).toEqual([]);
});
