/** @file Finds the runs in folders. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EbbError } from '../errors.ts';
import { fileError, pathKind } from '../formats/files.ts';
import { isRunFolder } from './readRun.ts';

/** How far below a folder runs are looked for: `.` finds those in `runs/`, and no folder of a home is searched through. */
const DEPTH = 2;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function below(folder: string, depth: number): string[] {
  if (isRunFolder(folder)) return [folder];
  if (depth === 0) return [];
  const names = readdirSync(folder).filter((name) => !name.startsWith('.') && name !== 'node_modules');
  const order = new Intl.Collator('en', { numeric: true });
  return names
    .sort(order.compare)
    .map((name) => join(folder, name))
    .filter(isFolder)
    .flatMap((path) => {
      try {
        return below(path, depth - 1);
      } catch (error) {
        // a folder that nobody named and that cannot be listed holds no run that could be read
        if (typeof error === 'object' && error !== null && 'code' in error && error.code === 'EACCES') return [];
        throw error;
      }
    });
}

/** The folders of the runs in a folder, which may be one itself. @throws EbbError where there are none, or it cannot be read */
export function findRuns(folder: string): string[] {
  if (pathKind(folder) !== 'folder') throw new EbbError(`${folder}: is a file, expected the folder of a run, or a folder of such`, 'run');
  let found: string[];
  try {
    found = below(folder, DEPTH);
  } catch (error) {
    throw fileError(folder, error);
  }
  if (found.length > 0) return found;
  throw new EbbError(`${folder}: holds no run, nor do folders up to ${DEPTH} levels below; a run's folder holds config.yaml and metrics.jsonl`, 'run');
}

/** @throws EbbError for a folder that is not that of a run */
export function checkIsRun(folder: string): void {
  if (pathKind(folder) !== 'folder') throw new EbbError(`${folder}: is a file, expected the folder of a run`, 'run');
  if (isRunFolder(folder)) return;
  throw new EbbError(`${folder}: is not the folder of a run, which holds config.yaml and metrics.jsonl; ebb runs ${folder} looks for runs below it`, 'run');
}
