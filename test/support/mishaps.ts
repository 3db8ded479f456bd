/** @file Mishaps of a process at a moment of its own writing: it is killed, or the disk takes no more, as if that had happened just then. */

/** A call that writes: the `nth` of `call` (of any of them, where it is left out) whose path matches, or whose file was opened by such a path. */
export interface Moment {
  readonly call?: (typeof WRITING)[number];
  readonly path: string;
  readonly nth: number;
  /** Whether half of the bytes are written before, where bytes are. */
  readonly torn?: boolean;
}

/** Calls that change what is on a disk. */
const WRITING = ['writeSync', 'openSync', 'renameSync', 'rmSync', 'mkdirSync', 'linkSync', 'copyFileSync'] as const;

/** What happens at a moment: the process ends by SIGKILL; or this call and all that write after it fail, until so many have. */
export type Mishap =
  | { readonly kind: 'kill' }
  | { readonly kind: 'fail'; readonly code: 'ENOSPC' | 'EROFS' | 'EIO'; readonly calls: number }
  | { readonly kind: 'count'; readonly into: string };

/** Environment of a Node process that meets a mishap right before a call. `count` writes how many calls there were into a file, and nothing happens. */
export function mishapAt({ call, path, nth, torn = false }: Moment, mishap: Mishap): NodeJS.ProcessEnv {
  const hook = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    import { isMainThread } from 'node:worker_threads';
    const mishap = ${JSON.stringify(mishap)};
    const real = { ...fs };
    const paths = new Map();
    const writes = (name, args) => name !== 'openSync' || /[wa+]/.test(String(args[1] ?? 'r'));
    let met = 0;
    const meet = (name, path, args) => {
      met++;
      if (mishap.kind === 'count' || met < ${nth}) return;
      if (mishap.kind === 'kill') {
        if (met > ${nth}) return;
        if (${torn} && name === 'writeSync') real.writeSync(path, args[1].slice(0, args[1].length / 2));
        process.kill(process.pid, 'SIGKILL');
      }
      // what only frees space works on a full disk
      if (met < ${nth} + mishap.calls && !(mishap.code === 'ENOSPC' && (name === 'rmSync' || name === 'renameSync')))
        throw Object.assign(new Error(mishap.code + ': ' + name), { code: mishap.code });
    };
    const wanted = ${JSON.stringify(call === undefined ? WRITING : [call])};
    for (const name of ${JSON.stringify(WRITING)})
      fs[name] = (...args) => {
        const path = paths.get(args[0]) ?? args[0];
        if (wanted.includes(name) && writes(name, args) && new RegExp(${JSON.stringify(path)}).test(path)) meet(name, args[0], args);
        const result = real[name](...args);
        if (name === 'openSync') paths.set(result, args[0]);
        return result;
      };
    if (mishap.kind === 'count' && isMainThread) process.on('exit', () => real.writeFileSync(mishap.into, String(met)));
    syncBuiltinESMExports();`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` };
}

/** Environment of a Node process that is killed right before a call. */
export const killedAt = (moment: Moment): NodeJS.ProcessEnv => mishapAt(moment, { kind: 'kill' });
