/** @file Reads the metrics of a run while they are written: what has come since, and no line twice. */

import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { fileError } from '../formats/files.ts';
import { gathered, METRICS, type ReadLine, type RunMetrics, readLine } from './metrics.ts';

const CHUNK = 2 ** 20;

/** What is known of a file that grows. */
interface Followed {
  readonly inode: number;
  readonly decoder: StringDecoder;
  readonly lines: ReadLine[];
  /** Bytes that were read. */
  offset: number;
  /** Lines that were read, those without text too. */
  count: number;
  /** The beginning of a line whose end is not written yet. */
  rest: string;
}

const fresh = (inode: number): Followed => ({ inode, decoder: new StringDecoder('utf8'), lines: [], offset: 0, count: 0, rest: '' });

function readOn(file: string, fd: number, known: Followed): void {
  const chunk = Buffer.alloc(CHUNK);
  for (;;) {
    const length = readSync(fd, chunk, 0, CHUNK, known.offset);
    if (length === 0) return;
    known.offset += length;
    const texts = (known.rest + known.decoder.write(chunk.subarray(0, length))).split('\n');
    known.rest = texts.pop() ?? '';
    for (const text of texts) {
      known.count++;
      if (text.trim() !== '') known.lines.push(readLine(`${file}: line ${known.count}`, text));
    }
  }
}

function opened(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    throw fileError(file, error);
  }
}

/**
 * Follows the metrics of a run. The function that is returned reads what has been written since it was called before, and gives all metrics, or null where there are no
 * new ones. Where the file was written anew, as by a run that goes on from a checkpoint, it begins again; where there is none, there are no metrics.
 */
export function followMetrics(folder: string): () => RunMetrics | null {
  const file = join(folder, METRICS);
  let known: Followed | null = null;
  return () => {
    if (!existsSync(file)) {
      const had = known !== null;
      known = null;
      return had ? gathered([]) : null;
    }
    const fd = opened(file);
    try {
      const { ino, size } = fstatSync(fd);
      const goesOn = known !== null && known.inode === ino && size >= known.offset;
      if (known === null || !goesOn) known = fresh(ino);
      const before = known.offset;
      if (size > before) readOn(file, fd, known);
      return goesOn && known.offset === before ? null : gathered(known.lines);
    } finally {
      closeSync(fd);
    }
  };
}
