/** @file A contestant's process, asked one thing at a time. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Entry } from './entries.ts';
import type { About, ReplyTo, Request } from './protocol.ts';

export interface Client {
  readonly entry: Entry;
  readonly about: About;
  /** @throws Error with what the contestant said, or that it took too long: its process is ended then */
  ask<R extends Request>(request: R): Promise<ReplyTo<R>>;
  close(): Promise<void>;
}

/** No single answer takes longer, first steps on slow software adapters included. */
const LIMIT_MS = 600_000;
/** Bindings that poll, and pools whose idle threads spin, would slow down whoever has its turn: who has not, is stopped. */
const STOPS = process.platform !== 'win32';
/** Processes that end with this one, stopped ones too. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** First steps compile: none may find the last run's shaders in a driver's cache. */
const COLD = { MESA_SHADER_CACHE_DISABLE: 'true' };

interface Process {
  send(line: string): void;
  /** The next line of its output that is JSON. */
  next(): Promise<string>;
  end(): Promise<void>;
}

function startProcess({ name, command }: Entry, env: Readonly<Record<string, string>>): Process {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...COLD, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => void (STOPS && child.kill(name));
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const lines: string[] = [];
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  let over: Error | undefined;
  const settle = (): void => {
    const line = lines[0];
    if (!waiting) return;
    if (line !== undefined) {
      lines.shift();
      signal('SIGSTOP');
      waiting.resolve(line);
    } else if (over) waiting.reject(over);
    else return;
    waiting = undefined;
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) lines.push(line);
    settle();
  });
  const ended = new Promise<void>((resolve) => {
    const finish = (why: string): void => {
      over ??= new Error(`${name}: ${why}\n${said}`);
      running.delete(child);
      settle();
      resolve();
    };
    child.on('error', (error) => finish(`could not be started: ${error.message}`));
    child.on('close', (code) => finish(`ended with ${code}`));
  });
  // a process that is gone says so by `close`
  child.stdin.on('error', () => undefined);
  return {
    send(line) {
      signal('SIGCONT');
      child.stdin.write(`${line}\n`);
    },
    next: () =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          over = new Error(`${name}: no answer in ${LIMIT_MS / 1000} s`);
          child.kill('SIGKILL');
          settle();
        }, LIMIT_MS);
        const done =
          <T>(then: (value: T) => void) =>
          (value: T): void => {
            clearTimeout(timer);
            then(value);
          };
        waiting = { resolve: done(resolve), reject: done(reject) };
        settle();
      }),
    async end() {
      signal('SIGCONT');
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Starts a contestant and opens its device. @throws Error with what it said */
export async function startClient(entry: Entry, device: string, env: Readonly<Record<string, string>> = {}): Promise<Client> {
  const process = startProcess(entry, env);
  const ask = async <R extends Request>(request: R): Promise<ReplyTo<R>> => {
    process.send(JSON.stringify(request));
    const reply = JSON.parse(await process.next()) as ReplyTo<R> | { error: string };
    if ('error' in reply) throw new Error(`${entry.name}: ${reply.error}`);
    return reply;
  };
  try {
    return { entry, ask, about: await ask({ do: 'open', device }), close: process.end };
  } catch (error) {
    await process.end();
    throw error;
  }
}
