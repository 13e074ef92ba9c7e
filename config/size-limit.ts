import type { SizeLimitConfig } from "size-limit"

export default [{
  name: "{ SideEffects, SideEffect, Policy } over what effect itself costs",
  path: "../dist/index.js",
  import: "{ SideEffects, SideEffect, Policy }",
  ignore: ["effect"],
  limit: "6 kB",
  // As a script of its own, the bundle would begin with 250 bytes that stand in for `require`.
  modifyEsbuildConfig: (config) => Object.assign(config!, { format: "esm" })
}] satisfies SizeLimitConfig
