/** @file The page of `ebb analyze --html`. */

import { pageAssets, pageFile } from '../page/file.ts';
import type { AnalyzeReport } from './report.ts';

/** Writes the report as a page, in one file. @throws EbbError when the page has not been built */
export const reportPage = (report: AnalyzeReport): string => pageFile(`${report.model} · ebb analyze`, report, pageAssets(import.meta.url));
