/** @file What all sections share: a contest, in which a contestant that fails is left out and the others go on, and rounds in which each has its turn. */

import { type Client, startClient } from './client.ts';
import type { Entry } from './entries.ts';

/** A contest between contestants. One that fails is left out from then on. */
export interface Contest {
  readonly clients: readonly Client[];
  /** Lets each contestant have its turn. Returns the results by name; a contestant that failed is absent. */
  each<T>(turn: (client: Client) => Promise<T>): Promise<ReadonlyMap<string, T>>;
  close(): Promise<void>;
}

/** Writes a line of progress. */
export type Log = (text: string) => void;

/** Starts the contestants. @param failed called for each contestant that fails, now or later */
export async function openContest(entries: readonly Entry[], device: string, failed: (name: string, why: string) => void): Promise<Contest> {
  const clients: Client[] = [];
  for (const entry of entries) {
    try {
      clients.push(await startClient(entry, device));
    } catch (error) {
      failed(entry.name, reason(error));
    }
  }
  return {
    clients,
    async each(turn) {
      const results = new Map<string, Awaited<ReturnType<typeof turn>>>();
      for (const client of [...clients]) {
        try {
          results.set(client.entry.name, await turn(client));
        } catch (error) {
          failed(client.entry.name, reason(error));
          clients.splice(clients.indexOf(client), 1);
          await client.close();
        }
      }
      return results;
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** The message of an error. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Plays rounds in which each contestant does `turn` once. A contestant that has used more than `limit` seconds in all sits out the rest.
 * @returns by name, the results of the turns in their order
 */
export async function inTurns<T>(
  contest: Contest,
  rounds: number,
  limit: number,
  turn: (client: Client, round: number) => Promise<T>,
): Promise<ReadonlyMap<string, T[]>> {
  const spent = new Map<string, number>();
  const done = new Map<string, T[]>();
  for (let round = 0; round < rounds; round++)
    await contest.each(async (client) => {
      const { name } = client.entry;
      const used = spent.get(name) ?? 0;
      if (used > limit * 1000) return;
      const started = performance.now();
      const result = await turn(client, round);
      spent.set(name, used + performance.now() - started);
      done.set(name, [...(done.get(name) ?? []), result]);
    });
  return done;
}
