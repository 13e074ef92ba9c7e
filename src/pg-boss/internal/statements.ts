/** What pg-boss has no function for, as SQL on its tables. Everything else goes through pg-boss. */

/** A name as the catalogue has it. */
export const nameOf = (schema: string): string =>
  schema.startsWith(`"`) && schema.endsWith(`"`) ? schema.slice(1, -1) : schema.toLowerCase()

/** What pg-boss derives its channel from. */
export const channelNameOf = (schema: string): string =>
  /^"[a-z_][a-z0-9_]*"$/.test(schema) ? schema.slice(1, -1) : schema

/** The channel on which pg-boss tells the queues that got a job. */
export const channel = `SELECT 'pgboss_' || left(encode(sha224(convert_to($1::text, 'UTF8')), 'hex'), 24) AS channel`

export const installed = `SELECT 1 FROM pg_tables WHERE schemaname = $1::text AND tablename = 'job'`

/** Which of these ids are there. */
export const present = (schema: string): string =>
  `SELECT id FROM ${schema}.job
   WHERE name = $1 AND id IN (SELECT value::uuid FROM json_array_elements_text($2::text::json))`

/** Whether something of these queues is due or running. */
export const busy = (schema: string): string =>
  `SELECT 1 FROM ${schema}.job
   WHERE name IN (SELECT value FROM json_array_elements_text($1::text::json)) AND NOT blocked
     AND (state = 'active' OR (state < 'active' AND start_after <= ${schema}.job_now()))
   LIMIT 1`

/** How many of each of these queues are due, and how many are running. */
export const left = (schema: string): string =>
  `SELECT name, (count(*) FILTER (WHERE state < 'active'))::int AS due,
     (count(*) FILTER (WHERE state = 'active'))::int AS running
   FROM ${schema}.job
   WHERE name IN (SELECT value FROM json_array_elements_text($1::text::json)) AND NOT blocked
     AND (state = 'active' OR (state < 'active' AND start_after <= ${schema}.job_now()))
   GROUP BY name ORDER BY name`

/** What a job is settled with that is not done. */
export interface Row {
  readonly id: string
  readonly attempt: number
  /** In milliseconds. Without, it is dead. */
  readonly delay: number | undefined
  /** What to show of its last failure. Without, that stays. */
  readonly output: unknown
  readonly progress: unknown
  /** For a job that is none of ours. */
  readonly name: string
  /** How often it may be lost from now on, before pg-boss gives it up. */
  readonly room: number
}

/**
 * Settles jobs that this worker holds still. A dead one whose queue has a dead letter queue is only prepared: `fail` of
 * pg-boss, which has to follow, finds that it was its last attempt, and copies it there.
 */
export const settle = (schema: string): string =>
  `WITH input AS (
     SELECT * FROM json_to_recordset($2::text::json) AS x (
       id uuid, attempt int, delay float8, output jsonb, progress jsonb, name text, room int
     )
   )
   UPDATE ${schema}.job j SET
     state = (CASE
       WHEN i.delay IS NOT NULL THEN 'retry' WHEN j.dead_letter IS NULL THEN 'failed' ELSE 'active'
     END)::${schema}.job_state,
     start_after = CASE WHEN i.delay IS NULL THEN j.start_after
       ELSE ${schema}.job_now() + i.delay * interval '1 millisecond' END,
     keep_until = CASE WHEN i.delay IS NULL THEN j.keep_until
       ELSE ${schema}.job_now() + i.delay * interval '1 millisecond' + (j.keep_until - j.start_after) END,
     completed_on = CASE WHEN i.delay IS NULL AND j.dead_letter IS NULL THEN ${schema}.job_now() END,
     heartbeat_on = CASE WHEN i.delay IS NULL AND j.dead_letter IS NOT NULL THEN j.heartbeat_on END,
     retry_limit = CASE WHEN i.delay IS NULL AND j.dead_letter IS NOT NULL THEN j.retry_count
       ELSE GREATEST(j.retry_limit, j.retry_count + i.room) END,
     deletion_seconds = CASE WHEN i.delay IS NULL THEN $3::int ELSE j.deletion_seconds END,
     output = COALESCE(i.output, j.output),
     data = CASE WHEN jsonb_typeof(j.data) = 'object' THEN j.data || jsonb_build_object('~progress', i.progress)
       ELSE jsonb_build_object('sideEffect', i.name, 'payload', j.data, '~progress', i.progress) END
   FROM input i
   WHERE j.name = $1 AND j.id = i.id AND j.state = 'active' AND j.retry_count = i.attempt
   RETURNING j.id, j.state::text AS state`
