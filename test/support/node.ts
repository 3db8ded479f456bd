/** @file Runs a program with Node, from the repository's root or another folder. */

import { spawn } from 'node:child_process';
import { ROOT } from './cli.ts';

export interface NodeRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runNode(program: string, args: readonly string[], cwd: string = ROOT): Promise<NodeRun> {
  const child = spawn(process.execPath, [program, ...args], { cwd });
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream].on('data', (chunk: Buffer) => void (text[stream] += chunk.toString('utf8')));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...text })));
}
