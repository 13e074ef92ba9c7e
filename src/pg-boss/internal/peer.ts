import { load } from "../../internal/peer.ts"

/** All that is needed of `pg-boss`, which its user installs. */
export const { PgBoss } = await load("pg-boss", "pg-boss", import("pg-boss"))
