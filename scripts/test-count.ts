/**
 * Prints `N passed, N failed` from the file that vitest's json reporter wrote. Fails when a test failed, was skipped, or
 * none ran.
 */
import { readFileSync } from "node:fs"

const file = process.argv[2]
if (file === undefined) throw new Error("Usage: node scripts/test-count.ts <file of vitest's json reporter>")
const results = JSON.parse(readFileSync(file, "utf8"))
const passed: number = results.numPassedTests
// A file that cannot be loaded has no tests that could fail.
const failed: number = results.numFailedTests || (results.success ? 0 : Math.max(1, results.numFailedTestSuites))
const skipped: number = results.numPendingTests + results.numTodoTests

if (skipped > 0) console.log(`${skipped} tests were skipped; all of them have to run here`)
if (passed + failed === 0) console.log("No test ran")
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || skipped > 0 || passed === 0 ? 1 : 0
