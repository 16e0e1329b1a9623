// The processes of one gateway that share its ports. Each is a whole gateway with its own sessions; what one of them holds and a
// client shows to another (a key that cancels a query) is told across. Owns the words between them, not how they travel.

export interface Siblings {
  /** This process's own number, from 0. */
  readonly index: number
  /** How many there are. */
  readonly count: number
  /** To the one with that number; dropped when there is none. */
  tell(index: number, words: string): void
  /** Hears what the others tell, from now on. */
  onTold(listen: (words: string) => void): void
}

/** A gateway that is one process. */
export const alone: Siblings = { index: 0, count: 1, tell: () => {}, onTold: () => {} }

/** The siblings as one protocol speaks with its own kind in them. */
export function siblingsFor(protocol: string, siblings: Siblings): Siblings {
  const mark = `${protocol} `
  return {
    index: siblings.index,
    count: siblings.count,
    tell: (index, words) => siblings.tell(index, mark + words),
    onTold: (listen) =>
      siblings.onTold((words) => {
        if (words.startsWith(mark)) listen(words.slice(mark.length))
      }),
  }
}
