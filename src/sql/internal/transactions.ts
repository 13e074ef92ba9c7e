import * as Context from "effect/Context"
import type * as SqlClient from "effect/sql/SqlClient"
import * as transaction from "../../internal/transaction.ts"
import type { Transaction } from "../../outbox/OutboxStore.ts"

/** The transaction of this client that a fiber with this context is in. */
export const of = (sql: SqlClient.SqlClient, context: Context.Context<never>): Transaction | undefined => {
  const level = Context.getOrUndefined(context, sql.transactionService)
  return level === undefined ? undefined : { level, depth: level[1] }
}

/** Whether only a transaction of another client is open, so that what this one writes is no part of it. */
export const isElsewhere = (sql: SqlClient.SqlClient, context: Context.Context<never>): boolean =>
  of(sql, context) === undefined && transaction.isOpen(context)
