/** @file A process that ends itself by SIGKILL at a moment of its own writing, as if somebody had done it just then. */

/** The `nth` call of `call` whose path matches, or whose file was opened by such a path; `torn`: half of the bytes are written before. */
export interface Moment {
  readonly call: 'writeSync' | 'openSync' | 'renameSync' | 'rmSync' | 'mkdirSync';
  readonly path: string;
  readonly nth: number;
  readonly torn?: boolean;
}

/** Environment of a Node process that is killed right before that call. */
export function killedAt({ call, path, nth, torn = false }: Moment): NodeJS.ProcessEnv {
  const hook = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const open = fs.openSync;
    const paths = new Map();
    fs.openSync = (path, ...rest) => {
      const file = open(path, ...rest);
      paths.set(file, path);
      return file;
    };
    const real = fs[${JSON.stringify(call)}];
    let left = ${nth};
    fs[${JSON.stringify(call)}] = (path, ...rest) => {
      if (new RegExp(${JSON.stringify(path)}).test(paths.get(path) ?? path) && --left === 0) {
        ${torn ? 'real(path, rest[0].slice(0, rest[0].length / 2));' : ''}
        process.kill(process.pid, 'SIGKILL');
      }
      return real(path, ...rest);
    };
    syncBuiltinESMExports();`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` };
}
