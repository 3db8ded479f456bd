/** @file `listRuns` and `watchRun`: what became of runs, by their folders. Each is what the command of its name does. */

import { z } from 'zod';
import { EbbError } from '../errors.ts';
import { checkOptions, type OptionShape } from '../issues.ts';
import type { StopSignal } from '../run/progress.ts';
import { checkIsRun, findRuns } from '../watch/findRuns.ts';
import { runsHtml } from '../watch/html.ts';
import { readRun, readView } from '../watch/readRun.ts';
import type { RunReport, RunView } from '../watch/report.ts';
import { servePage } from '../watch/serve.ts';
import { views } from '../watch/watchRun.ts';
import { signal, text, whole } from './optionKinds.ts';

/** The runs in folders. */
export interface RunList<Run extends RunReport = RunReport> {
  readonly runs: readonly Run[];
  /** A sentence for each run that cannot be read. */
  readonly problems: readonly string[];
}

/** Reads runs. One that cannot be read is told beside the others; one that was named itself is refused. */
function readAll<Run extends RunReport>(folders: readonly string[], read: (folder: string) => Run): RunList<Run> {
  checkOptions('listRuns()', { folders }, { folders: z.array(text) });
  const runs: Run[] = [];
  const problems: string[] = [];
  // folders may hold one another
  for (const folder of new Set(folders.flatMap(findRuns))) {
    try {
      runs.push(read(folder));
    } catch (error) {
      if (!(error instanceof EbbError) || folders.includes(folder)) throw error;
      problems.push(error.message);
    }
  }
  return { runs, problems };
}

/**
 * Lists the runs in folders, which may be runs themselves: up to two levels below each. @param folders default the folder of the process
 * @throws EbbError for a folder without a run, and for a run that is named and cannot be read
 */
export const listRuns = (folders: readonly string[] = ['.']): RunList => readAll(folders, readRun);

/** A page with the runs in folders, and their losses laid over one another: one file, which asks the network for nothing. @throws EbbError as `listRuns` */
export function runsPage(folders: readonly string[] = ['.']): RunList & { readonly html: string } {
  const { runs, problems } = readAll(folders, readView);
  return { runs, problems, html: runsHtml(runs) };
}

/** How a run is watched by its folder. */
export interface WatchRunOptions {
  /** Milliseconds between two looks at the folder. Default 500. */
  readonly everyMs?: number | undefined;
  /** Ends the watching, and not the run. */
  readonly signal?: StopSignal | undefined;
}

const WATCHING: OptionShape<WatchRunOptions> = { everyMs: whole(10), signal };

/**
 * Watches a run that another process does: gives it as it is, and again whenever it has changed, until it ends. The last one says how it ended.
 * @throws EbbError for a folder that is not that of a run, and for files in it that cannot be read
 */
export function watchRun(folder: string, options: WatchRunOptions = {}): AsyncGenerator<RunView, void> {
  checkOptions('watchRun()', { folder }, { folder: text });
  checkOptions('watchRun()', options, WATCHING);
  checkIsRun(folder);
  const { everyMs = 500, signal: ends } = options;
  return views(folder, everyMs, ends);
}

/** How a run is served. */
export interface ServeRunOptions extends WatchRunOptions {
  /** Default one that is free. */
  readonly port?: number | undefined;
}

const SERVING: OptionShape<ServeRunOptions> = { ...WATCHING, port: z.int().min(0).max(65535).optional() };

/** A run whose page is served. */
export interface ServedRun {
  /** Where a browser of this machine finds the page. */
  readonly url: string;
  /** The run as it was when it ended, or when the watching was ended: the server is closed then. */
  readonly ended: Promise<RunReport>;
}

/**
 * Serves the page of a run on 127.0.0.1 while it goes on. The page shows what is new as it comes, and stays as it is when the run ends.
 * @throws EbbError as `watchRun`, for a run that has ended already, and for a port that cannot be had
 */
export async function serveRun(folder: string, { port = 0, ...watching }: ServeRunOptions = {}): Promise<ServedRun> {
  checkOptions('serveRun()', { port, ...watching }, SERVING);
  const seen = watchRun(folder, watching);
  const first = await seen.next();
  if (first.done === true) throw new EbbError(`${folder}: is not watched, as its signal was aborted before`);
  if (first.value.state !== 'running')
    throw new EbbError(`${folder}: the run has ended (${first.value.state}); runsPage(), or ebb runs ${folder} --html FILE, makes its page`, 'run');
  const server = await servePage(first.value, port);
  const follow = async (): Promise<RunReport> => {
    let last = first.value;
    try {
      for await (const view of seen) {
        last = view;
        server.update(view);
      }
    } finally {
      await server.close();
    }
    const { curve: _curve, ...report } = last;
    return report;
  };
  return { url: server.url, ended: follow() };
}

export type { RunReport, RunView };
