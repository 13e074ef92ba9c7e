import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const services = {
  POSTGRES_URL: "the tests on PostgreSQL, such as postgres://postgres@127.0.0.1:5432/test",
  REDIS_URL: "the tests on Redis, such as redis://127.0.0.1:6379",
  OXLINT: "the lint rule in oxlint, such as \"npx -y oxlint@1.94.0\"",
  CHROMIUM: "the tests in a browser, such as /usr/bin/chromium"
}
for (const [variable, what] of Object.entries(services)) {
  if (!process.env[variable]) console.warn(`Skipped: set ${variable} for ${what}`)
}

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  // `effect-side-effects` is the source, as in tsconfig.json.
  resolve: { tsconfigPaths: true },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    // Each of these has connections, often processes, of its own: more at once only take each other's time.
    maxConcurrency: 3,
    silent: "passed-only"
  }
})
