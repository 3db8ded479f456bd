/** @file TypeScript's strictest settings, for the definitions that come in and the trainers that go out. */

/** Compiler options by their names in a tsconfig.json. */
export const STRICT = {
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noFallthroughCasesInSwitch: true,
  noPropertyAccessFromIndexSignature: true,
  isolatedModules: true,
  skipLibCheck: true,
  noEmit: true,
} as const;
