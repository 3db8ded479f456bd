/** @file Files that end before their data does: those whose first megabytes alone were fetched, and downloads that broke off. */

import { EbbError } from '../errors.ts';
import { show } from './bytes.ts';

/** Where a tensor's data lies in its file, in bytes. */
interface TensorPlace {
  readonly name: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What of a file's data is not there. */
export interface MissingData {
  readonly file: string;
  /** How many bytes the file has, and how many it would have if it were whole. */
  readonly size: number;
  readonly end: number;
  /** How many tensors the header names, how many of them are not all there, and the name of the first of these. */
  readonly tensors: number;
  readonly missing: number;
  readonly first: string;
  /** How many bytes of the tensors are there, and how many there should be. */
  readonly dataThere: number;
  readonly data: number;
}

/** How much of a file's data is missing; null where it is all there. @param size bytes of the file */
export function cutOf(file: string, tensors: Iterable<TensorPlace>, size: number): MissingData | null {
  const placed = [...tensors].sort((a, b) => a.byteOffset - b.byteOffset);
  const beyond = placed.filter((t) => t.byteOffset + t.byteLength > size);
  const [first] = beyond;
  if (!first) return null;
  const there = ({ byteOffset, byteLength }: TensorPlace): number => Math.max(0, Math.min(byteLength, size - byteOffset));
  return {
    file,
    size,
    end: placed.reduce((end, t) => Math.max(end, t.byteOffset + t.byteLength), 0),
    tensors: placed.length,
    missing: beyond.length,
    first: first.name,
    dataThere: placed.reduce((sum, t) => sum + there(t), 0),
    data: placed.reduce((sum, t) => sum + t.byteLength, 0),
  };
}

/** A cut in one sentence, which begins with the file. */
export function cutText({ file, size, end, tensors, missing, first }: MissingData): string {
  return `${file}: has ${size} of ${end} bytes: the data of ${missing} of its ${tensors} tensors is not all there, that of ${show(first)} first`;
}

/** @throws EbbError where data is missing */
export function refuseCut(file: string, tensors: Iterable<TensorPlace>, size: number): void {
  const cut = cutOf(file, tensors, size);
  if (cut) throw new EbbError(`${cutText(cut)} (is it truncated?); give the whole file`);
}
