/** @file Serves the page of a run on this machine alone, and tells it what is new. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { EbbError, option } from '../errors.ts';
import { runsHtml } from './html.ts';
import type { RunView } from './report.ts';

/** Where events are told. */
const UPDATES = '/updates';

/** A page that is served. */
export interface PageServer {
  readonly url: string;
  /** Tells all pages that are open how the run is now. */
  update(view: RunView): void;
  /** Ends the server; pages that are open stay as they are. */
  close(): Promise<void>;
}

const jsonOf = (view: RunView): string => JSON.stringify([view]);

/**
 * Serves the page of a run. @param view the run as it is now @param port 0 for any that is free
 * @throws EbbError for a port that cannot be had
 */
export async function servePage(view: RunView, port: number): Promise<PageServer> {
  let now = view;
  const listeners = new Set<ServerResponse>();
  let hosts: readonly string[] = [];
  const listen = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }).write(`data: ${jsonOf(now)}\n\n`);
    listeners.add(response);
    response.on('close', () => listeners.delete(response));
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const refuse = (status: number, text: string): unknown => response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    // a page of another host whose name was made to mean this machine may not read a run
    if (!hosts.includes(request.headers.host ?? '')) refuse(403, 'this server is asked by the address that ebb watch said');
    else if (request.method !== 'GET' && request.method !== 'HEAD') refuse(405, 'only GET');
    else if (request.url === '/')
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(runsHtml([now], UPDATES));
    else if (request.url === UPDATES) listen(response);
    else refuse(404, 'there is / alone');
  };
  const server = createServer(answer);
  const bound = await new Promise<number>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is taken by another program' : error.message;
      reject(new EbbError(`${option('port')} ${port}: ${why}; leave it out for one that is free`));
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
  hosts = ['127.0.0.1', 'localhost'].map((name) => `${name}:${bound}`);
  return {
    url: `http://127.0.0.1:${bound}/`,
    update(next) {
      now = next;
      for (const listener of listeners) listener.write(`data: ${jsonOf(now)}\n\n`);
    },
    close: () =>
      new Promise((resolve) => {
        for (const listener of listeners) listener.end();
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}
