/** @file A contestant's process, which is asked one thing at a time. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { at } from '../src/errors.ts';
import type { Entry } from './entries.ts';
import type { About, ReplyTo, Request } from './protocol.ts';

export interface Client {
  readonly entry: Entry;
  readonly about: About;
  /** Asks the contestant. @throws Error with the contestant's own error, or when it takes too long; then its process is ended */
  ask<R extends Request>(request: R): Promise<ReplyTo<R>>;
  close(): Promise<void>;
}

/** No answer may take longer. First steps on slow software adapters take less. */
const LIMIT_MS = 600_000;
/** A process that was asked to end is killed after this time. */
const END_MS = 10_000;
/**
 * Whether a process is stopped while another has its turn. Otherwise bindings that poll, and thread pools whose idle threads spin, would
 * slow the other one down.
 */
const STOPS = process.platform !== 'win32';

/** First steps compile, and must not find the shaders of an earlier run in a driver's cache. */
const COLD = { MESA_SHADER_CACHE_DISABLE: 'true' };

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** Lines that arrive, each taken by one `next`. */
interface LineQueue {
  push(line: string): void;
  /** Says that no more lines will arrive. Of several errors the first counts. */
  fail(error: Error): void;
  /** Waits for the next line. @throws the error of `fail` where there is no line left */
  next(): Promise<string>;
}

function createLineQueue(): LineQueue {
  const lines: string[] = [];
  let failure: Error | undefined;
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  const settle = (): void => {
    if (!waiting || (lines.length === 0 && !failure)) return;
    const { resolve, reject } = waiting;
    waiting = undefined;
    const line = lines.shift();
    if (line !== undefined) resolve(line);
    else if (failure) reject(failure);
  };
  return {
    push(line) {
      lines.push(line);
      settle();
    },
    fail(error) {
      failure ??= error;
      settle();
    },
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        settle();
      }),
  };
}

/** A contestant's process. It is stopped unless it has been sent a line that it has not answered. */
interface ContestantProcess {
  send(line: string): void;
  /** Waits for the next line of its output that is JSON. */
  next(): Promise<string>;
  end(): Promise<void>;
}

/** Starts the command of an entry. Its process ends with this one. */
function spawnEntry({ command }: Entry, env: Readonly<Record<string, string>>): ChildProcessWithoutNullStreams {
  const child = spawn(at(command, 0), command.slice(1), { env: { ...process.env, ...COLD, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.on('exit', kill);
  child.on('close', () => process.off('exit', kill));
  // a process that has ended is noticed by its event `close`
  child.stdin.on('error', () => undefined);
  return child;
}

function startProcess(entry: Entry, env: Readonly<Record<string, string>>): ContestantProcess {
  const child = spawnEntry(entry, env);
  const signal = (name: 'SIGSTOP' | 'SIGCONT'): void => void (STOPS && child.kill(name));
  const replies = createLineQueue();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('{')) replies.push(line);
  });
  const ended = new Promise<void>((resolve) => {
    const finish = (why: string): void => {
      replies.fail(new Error(`${entry.name}: ${why}\n${said}`));
      resolve();
    };
    child.on('error', (error) => finish(`could not be started: ${error.message}`));
    child.on('close', (code) => finish(`ended with ${code}`));
  });
  return {
    send(line) {
      signal('SIGCONT');
      child.stdin.write(`${line}\n`);
    },
    async next() {
      const timer = setTimeout(() => {
        replies.fail(new Error(`${entry.name}: no answer in ${LIMIT_MS / 1000} s`));
        child.kill('SIGKILL');
      }, LIMIT_MS);
      try {
        return await replies.next();
      } finally {
        clearTimeout(timer);
        signal('SIGSTOP');
      }
    },
    async end() {
      signal('SIGCONT');
      child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Starts a contestant and opens its device. @throws Error with the contestant's own error */
export async function startClient(entry: Entry, device: string, env: Readonly<Record<string, string>> = {}): Promise<Client> {
  const contestant = startProcess(entry, env);
  const ask = async <R extends Request>(request: R): Promise<ReplyTo<R>> => {
    contestant.send(JSON.stringify(request));
    const reply = JSON.parse(await contestant.next()) as ReplyTo<R> | { error: string };
    if ('error' in reply) throw new Error(`${entry.name}: ${reply.error}`);
    return reply;
  };
  try {
    return { entry, ask, about: await ask({ do: 'open', device }), close: contestant.end };
  } catch (error) {
    await contestant.end();
    throw error;
  }
}
