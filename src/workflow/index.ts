export * as WorkflowSideEffects from "./WorkflowSideEffects.ts"
