// PostgreSQL for benches, as it comes. It owns the settings alone.

/** PostgreSQL's settings as it comes: what the tests switch off for speed is on. */
export const durable = { fsync: "on", full_page_writes: "on", synchronous_commit: "on", shared_buffers: "128MB" } as const
