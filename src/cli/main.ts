#!/usr/bin/env node
/** @file Starts the command line. Source maps come first: source lines in the IR and in errors are those of TypeScript, not of dist/. */

process.setSourceMapsEnabled(true);
await import('./program.ts');

export {};
