export * as ClusterSideEffects from "./ClusterSideEffects.ts"
