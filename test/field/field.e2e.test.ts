/**
 * @file Situations that people meet, as data: a folder of files, commands in it, and what each must answer. `cases/<name>/case.json` holds
 * `situation`, optional `tensors` (safetensors files to write, by name), and `commands`; other files of the folder are there as they are.
 */

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type SafetensorsEntry, writeSafetensors } from '../../src/formats/safetensors.ts';
import { runCli, TINY_MODEL } from '../support/cli.ts';
import { runNode } from '../support/node.ts';

interface TensorData {
  readonly dtype: 'F32' | 'I32' | 'BF16';
  readonly shape: readonly number[];
  /** Its elements (bits of BF16), over and over; what JSON has no number for, such as NaN, as text. */
  readonly data: readonly (number | string)[];
}

interface Command {
  /** `ebb …`, or `node …`, with spaces between the words: `""` is an empty one, TINY_MODEL the bundled model. */
  readonly run: string;
  readonly exit: number;
  /** Patterns that the streams must match. */
  readonly stderr?: string;
  readonly stdout?: string;
}

interface Case {
  readonly situation: string;
  readonly tensors?: Readonly<Record<string, Readonly<Record<string, TensorData>>>>;
  readonly commands: readonly Command[];
}

const WORDS: Readonly<Record<string, string>> = { '""': '', TINY_MODEL };

const CASES = join(__dirname, 'cases');

function entry(name: string, { dtype, shape, data }: TensorData): SafetensorsEntry {
  const length = shape.reduce((a, b) => a * b, 1);
  const at = (_: unknown, i: number): number => Number(data[i % data.length]);
  const made = dtype === 'F32' ? Float32Array.from({ length }, at) : dtype === 'I32' ? Int32Array.from({ length }, at) : Uint16Array.from({ length }, at);
  return { name, dtype, shape, data: made };
}

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'ebb-field-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

describe.each(readdirSync(CASES))('%s', (name) => {
  const { situation, tensors = {}, commands } = JSON.parse(readFileSync(join(CASES, name, 'case.json'), 'utf8')) as Case;
  it(situation, async () => {
    const folder = join(scratch, name);
    cpSync(join(CASES, name), folder, { recursive: true });
    for (const [file, held] of Object.entries(tensors)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeSafetensors(
        join(folder, file),
        Object.entries(held).map(([tensor, data]) => entry(tensor, data)),
      );
    }
    for (const { run, exit, stderr = '', stdout = '' } of commands) {
      const [program, ...args] = run.split(' ').map((word) => WORDS[word] ?? word);
      const answer = program === 'ebb' ? await runCli(args, undefined, {}, folder) : await runNode(join(folder, args[0]!), args.slice(1), folder);
      const told = { run, exit: answer.code, stderr: answer.stderr, stdout: answer.stdout };
      expect(told).toEqual({ run, exit, stderr: expect.stringMatching(stderr), stdout: expect.stringMatching(stdout) });
    }
  });
});
