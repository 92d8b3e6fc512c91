import { defineConfig } from 'vitest/config';

/** Runs in contexts with typed arrays of their own, as every test of a Jest user does. */
const CONTEXTS = 'test/engine/contexts.test.ts';

export default defineConfig({
  // By default, Vite also looks at the pages of the browser test, which import the built package.
  optimizeDeps: { entries: ['src/index.ts'] },
  test: {
    maxWorkers: 2,
    // Tests import single modules, past the public entries that register what the engine runs on.
    setupFiles: ['src/engine/register-node.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'tesserae', include: ['test/**/*.test.ts'], exclude: ['test/bench/**', CONTEXTS], pool: 'forks' },
      },
      { extends: true, test: { name: 'contexts', include: [CONTEXTS], pool: 'vmForks' } },
    ],
  },
});
