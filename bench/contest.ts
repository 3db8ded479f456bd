/** @file What all sections share: contestants that fall out say why and the others go on, and rounds in which each has its turn. */

import { type Client, startClient } from './client.ts';
import type { Entry } from './entries.ts';

/** A contest between some contestants; who fails is left out from then on. */
export interface Contest {
  readonly clients: readonly Client[];
  /** Asks each contestant in turn; results of those that failed are missing. */
  each<T>(turn: (client: Client) => Promise<T>): Promise<ReadonlyMap<string, T>>;
  close(): Promise<void>;
}

export type Log = (text: string) => void;

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

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Rounds in which each contestant does `turn` once; who has taken `limit` seconds in all sits out the rest.
 * @returns what each did, in order
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
