/**
 * @file Sequences in a file: tokens, which of them are learnt, and where each sequence ends. They are written while they are made and read one at a
 * time, so that data of any size takes little memory.
 */

import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { at, invariant } from '../errors.ts';
import type { Sequence, Sequences } from '../train/batches.ts';

/** Bytes of a token: its id, and whether it is learnt. */
const BYTES = { id: 4, learnt: 1 } as const;

/** Writes sequences one behind the other. */
export interface TokenWriter {
  add(sequence: Sequence): void;
  /** Ends the file, whose bytes are on the disk then. */
  close(): void;
  /** Ends it where something went wrong. */
  abandon(): void;
}

/** Tokens are gathered before they are written. */
const GATHERED = 1 << 16;

/** @throws Error of the file system, for a file that cannot be written */
export function tokenWriter(path: string): TokenWriter {
  const file = openSync(path, 'w');
  let waiting: Sequence[] = [];
  let count = 0;
  let isOpen = true;
  const flush = (): void => {
    const bytes = Buffer.alloc(count * (BYTES.id + BYTES.learnt));
    let place = 0;
    for (const { tokens, labels } of waiting) {
      bytes.set(new Uint8Array(tokens.slice().buffer), place);
      place += tokens.length * BYTES.id;
      for (let i = 0; i < labels.length; i++) bytes[place + i] = at(labels, i) >= 0 ? 1 : 0;
      place += labels.length;
    }
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    waiting = [];
    count = 0;
  };
  return {
    add(sequence) {
      waiting.push(sequence);
      count += sequence.tokens.length;
      if (count >= GATHERED) flush();
    },
    close() {
      flush();
      fsyncSync(file);
      closeSync(file);
      isOpen = false;
    },
    abandon() {
      if (isOpen) closeSync(file);
      isOpen = false;
    },
  };
}

/** The sequences of a file, each read when it is asked for. @param lengths tokens of each @throws Error of the file system */
export function storedSequences(path: string, lengths: Int32Array): Sequences {
  const file = openSync(path, 'r');
  const starts = new Float64Array(lengths.length);
  for (let i = 1; i < lengths.length; i++) starts[i] = at(starts, i - 1) + at(lengths, i - 1);
  return {
    length: lengths.length,
    lengthOf: (index) => at(lengths, index),
    at(index) {
      const length = at(lengths, index);
      const bytes = new Uint8Array(length * (BYTES.id + BYTES.learnt));
      const read = readSync(file, bytes, 0, bytes.length, at(starts, index) * (BYTES.id + BYTES.learnt));
      invariant(read === bytes.length, `${path} ends early`);
      const tokens = new Int32Array(bytes.buffer, 0, length);
      const learnt = bytes.subarray(length * BYTES.id);
      return { tokens, labels: tokens.map((token, i) => (at(learnt, i) === 1 ? token : -100)) };
    },
  };
}

/** Bytes of a file that holds sequences of these lengths. */
export const tokenBytes = (lengths: Int32Array): number => lengths.reduce((sum, length) => sum + length, 0) * (BYTES.id + BYTES.learnt);
