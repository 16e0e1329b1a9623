// A task that may take its time, but not more than so much of it.

/** Settles with the task, or after `time_ms_max`, whichever is first. A task that comes too late is not waited for. */
export function boundedBy(time_ms_max: number, task: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, time_ms_max)
    task()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
