export * as Engine from "./Engine.ts"
export * as EngineWorker from "./EngineWorker.ts"
export * as Job from "./Job.ts"
export * as Outcome from "./Outcome.ts"
