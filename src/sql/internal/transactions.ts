import * as Context from "effect/Context"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Transaction } from "../../outbox/OutboxStore.ts"

/** The transaction of this client that a fiber with this context is in. */
export const of = (sql: SqlClient.SqlClient, context: Context.Context<never>): Transaction | undefined => {
  const level = Context.getOrUndefined(context, sql.transactionService)
  return level === undefined ? undefined : { level, depth: level[1] }
}
