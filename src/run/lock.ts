/**
 * @file A run folder belongs to the run that writes it. A lock with a heartbeat says so to other machines (proper-lockfile), and the process that holds
 * it to those of this machine: a run that was killed leaves its folder free at once.
 */

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import lockfile from 'proper-lockfile';
import { z } from 'zod';
import { EbbError, option } from '../errors.ts';
import { discard, fileError, makeFolder } from '../formats/files.ts';
import { writeTextAside } from '../formats/safetensors.ts';

const LOCK = '.lock';
const OWNER = '.owner.json';

/** A heartbeat that is older is that of a run which has ended. Tracing a large model may keep one from being on time. */
const STALE_MS = 60_000;
const BEAT_MS = 5_000;

/** Which process holds a folder. Numbers of processes mean something on one machine, and within one space of them, alone. */
const owner = z.object({ id: z.string(), folder: z.string(), pid: z.int(), host: z.string(), space: z.string(), processStart: z.string(), since: z.string() });
type Owner = Readonly<z.infer<typeof owner>>;

/** A text that Linux tells of this machine; empty where there is none. */
function told(read: () => string): string {
  try {
    return read().trim();
  } catch {
    return '';
  }
}

/** The start of the machine, and its space of process numbers: containers have their own. */
const spaceOf = (): string => `${told(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))} ${told(() => readlinkSync('/proc/self/ns/pid'))}`;

/** When a process started, in ticks of the machine: its number may be that of another one since. */
const processStart = (pid: number): string =>
  told(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // the name in parentheses may hold spaces
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  });

function isAlive({ pid, processStart: started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is another user's
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  return processStart(pid) === started;
}

/** Which folder one is, wherever it is moved to: a copy is another. */
const folderId = (folder: string): string => String(statSync(folder).ino);

/** Who holds a folder; null where nobody says so, or says it of the folder that this one was copied from. */
function ownerOf(folder: string): Owner | null {
  try {
    const found = owner.parse(JSON.parse(readFileSync(join(folder, OWNER), 'utf8')));
    return found.folder === folderId(folder) ? found : null;
  } catch {
    return null;
  }
}

/** Whether a process of this machine says that it holds a folder, and whether it lives; null where another machine must be believed. */
function localOwner(folder: string): { readonly isAlive: boolean } | null {
  const found = ownerOf(folder);
  return found && found.host === hostname() && found.space === spaceOf() ? { isAlive: isAlive(found) } : null;
}

const options = (folder: string) => ({ lockfilePath: join(folder, LOCK), stale: STALE_MS, realpath: false });

/** Whether a run is going on in a folder. A lock that nobody has said to hold is that of a run which was killed before it could, or is about to. */
export function isRunning(folder: string): boolean {
  if (!existsSync(join(folder, LOCK)) || ownerOf(folder) === null) return false;
  return localOwner(folder)?.isAlive ?? lockfile.checkSync(folder, options(folder));
}

/** @throws EbbError where a run is going on in a folder */
export function refuseRunning(folder: string): void {
  if (!isRunning(folder)) return;
  const found = ownerOf(folder);
  const who = found ? ` (process ${found.pid} on ${found.host}, since ${found.since})` : '';
  throw new EbbError(`${folder}: another run is going on in it${who}; wait until it has ended, or choose another folder (${option('out')})`, 'run');
}

/** A folder that is held for a run. */
export interface Claim {
  /** @throws EbbError where another program holds the folder by now, as after a long sleep of this machine */
  check(): void;
  /** Gives the folder up. One that was made for the run and holds nothing is removed. */
  release(): void;
}

/** So long a process may take to say that it holds the lock which it has just made. */
const CLAIMING_MS = 2000;

/** Removes a lock that nobody holds. Whoever has just made it gets the time to say so. */
async function removeOrphan(folder: string): Promise<void> {
  const lock = join(folder, LOCK);
  const isOrphan = (): boolean => existsSync(lock) && ownerOf(folder) === null;
  for (let waited = 0; isOrphan() && waited < CLAIMING_MS; waited += 100) await sleep(100);
  // a process that is gone holds nothing, whatever its heartbeat says
  if (isOrphan() || localOwner(folder)?.isAlive === false) rmSync(lock, { recursive: true, force: true });
}

/** The folders of a path that are not there yet, the innermost first. */
function missingFolders(path: string): string[] {
  const whole = resolve(path);
  return existsSync(whole) ? [] : [whole, ...(dirname(whole) === whole ? [] : missingFolders(dirname(whole)))];
}

function removeEmpty(folders: readonly string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // one that holds something stays, and so do those that it lies in
  }
}

/**
 * Holds a folder for a run, before anything else is done for it; a folder that is not there is made.
 * @throws EbbError where another run is going on in it, and where it cannot be written
 */
export async function claimFolder(folder: string): Promise<Claim> {
  const made = missingFolders(folder);
  const id = randomUUID();
  const unlock = (): void => {
    try {
      // at once, so that whoever comes next finds the folder free
      lockfile.unlockSync(folder, options(folder));
    } catch {
      // a disk that is read-only keeps the lock, whose owner is gone
    }
  };
  refuseRunning(folder);
  try {
    makeFolder(folder);
    await removeOrphan(folder);
    // whoever took the folder meanwhile is met by check(), where something is to be written
    await lockfile.lock(folder, { ...options(folder), update: BEAT_MS, onCompromised: () => {} });
  } catch (error) {
    removeEmpty(made);
    if (error instanceof Error && 'code' in error && error.code === 'ELOCKED') refuseRunning(folder);
    throw fileError(folder, error);
  }
  const since = new Date().toLocaleString('sv-SE');
  try {
    const own: Owner = { id, folder: folderId(folder), pid: process.pid, host: hostname(), space: spaceOf(), processStart: processStart(process.pid), since };
    writeTextAside(join(folder, OWNER), `${JSON.stringify(own)}\n`);
  } catch (error) {
    unlock();
    removeEmpty(made);
    throw error;
  }
  let isHeld = true;
  const isOther = (): boolean => {
    const found = ownerOf(folder);
    return found !== null && found.id !== id;
  };
  return {
    check() {
      if (isOther()) throw new EbbError(`${folder}: another run has taken this folder, and nothing more is written into it`, 'run');
    },
    release() {
      if (!isHeld) return;
      isHeld = false;
      // the lock of another run stays, and the heartbeat ends by itself where it is not this one's
      if (!isOther()) {
        discard(join(folder, OWNER));
        unlock();
      }
      removeEmpty(made);
    },
  };
}

/** Does work for a run whose folder is held from before anything is read. @throws EbbError as `claimFolder` */
export async function withClaim<T>(folder: string, work: (claim: Claim) => Promise<T>): Promise<T> {
  const claim = await claimFolder(folder);
  try {
    return await work(claim);
  } finally {
    claim.release();
  }
}

/** Opens a run whose folder is held from before anything is read until the run is closed. @throws EbbError as `claimFolder` */
export async function openClaimed<T extends { close(): void }>(folder: string, open: (claim: Claim) => Promise<T>): Promise<T> {
  const claim = await claimFolder(folder);
  try {
    const run = await open(claim);
    return {
      ...run,
      close() {
        run.close();
        claim.release();
      },
    };
  } catch (error) {
    claim.release();
    throw error;
  }
}
