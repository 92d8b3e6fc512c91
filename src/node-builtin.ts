// Modules of Node.js for code that also runs in browsers, where each user of this file has a substitute.

/** Returns a built-in module of Node.js. Undefined outside of Node.js, and before version 20.16. */
export const nodeBuiltin: typeof process.getBuiltinModule | undefined = globalThis.process?.getBuiltinModule;
