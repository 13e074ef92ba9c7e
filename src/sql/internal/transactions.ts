import * as Context from "effect/Context"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Transaction } from "../../outbox/OutboxStore.ts"

/** The transaction of this client that a fiber with this context is in. */
export const of = (sql: SqlClient.SqlClient, context: Context.Context<never>): Transaction | undefined => {
  const level = Context.getOrUndefined(context, sql.transactionService)
  return level === undefined ? undefined : { level, depth: level[1] }
}

/** The client of the unit of work around. */
export const UnitOfWork = Context.Reference<SqlClient.SqlClient | undefined>("effect-side-effects/sql/UnitOfWork", {
  defaultValue: () => undefined
})

/** Whether the unit of work around is a transaction of another client, so that what this one writes is no part of it. */
export const isElsewhere = (sql: SqlClient.SqlClient, context: Context.Context<never>): boolean => {
  const other = Context.get(context, UnitOfWork)
  return other !== undefined && of(other, context) !== undefined && of(sql, context) === undefined
}
