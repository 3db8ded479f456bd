/** @file The pages of `ebb runs --html` and `ebb watch --html`. */

import { pageAssets, pageFile } from '../page/file.ts';
import type { PageData, RunView } from './report.ts';

/** Writes runs as a page, in one file. @param updates as in `PageData` @throws EbbError when the page has not been built */
export function runsHtml(runs: readonly RunView[], updates: string | null = null): string {
  const [only] = runs.length === 1 ? runs : [];
  const data: PageData = { runs, updates };
  return pageFile(`${only ? only.curve.name : `${runs.length} runs`} · ebb`, data, pageAssets(import.meta.url), updates !== null);
}
