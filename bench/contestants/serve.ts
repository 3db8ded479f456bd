/** @file The contestant's side of the protocol, for contestants in JavaScript. */

import { createInterface } from 'node:readline';
import type { About, LoadRequest, MatmulReply, MatmulRequest, OpenRequest, Replies, Request, StepReply, StepRequest } from '../protocol.ts';

/** A library, as the benchmark uses it. */
export interface Contestant {
  open(request: OpenRequest): Promise<About>;
  load(request: LoadRequest): Promise<void>;
  step(request: StepRequest): Promise<StepReply>;
  matmul(request: MatmulRequest): Promise<MatmulReply>;
  close(): void;
}

async function answer(contestant: Contestant, request: Request): Promise<Replies[Request['do']]> {
  switch (request.do) {
    case 'open':
      return contestant.open(request);
    case 'load':
      await contestant.load(request);
      return {};
    case 'first':
    case 'step':
      return contestant.step(request);
    case 'matmul':
      return contestant.matmul(request);
  }
}

/** Answers requests until stdin ends. */
export async function serve(contestant: Contestant): Promise<void> {
  // stdout carries the protocol
  console.log = console.error;
  console.info = console.error;
  for await (const line of createInterface({ input: process.stdin })) {
    let reply: Replies[Request['do']] | { error: string };
    try {
      reply = await answer(contestant, JSON.parse(line) as Request);
    } catch (error) {
      reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  contestant.close();
  process.exit(0);
}
