// A command line as a shell would take it apart, as far as that can be told without being a shell: its simple commands, each as
// words. It never runs anything and never guesses: what needs a shell to know (variables, substitutions, loops, `sh -c`) is said to
// be unreadable. Source: POSIX.1-2024, Shell Command Language, sections 2.2, 2.3 and 2.10.

export interface SimpleCommand {
  /** As it is written, without white space around it. */
  readonly text: string
  /** Its words without quotes; without assignments before it, redirections, and programs that only run another. */
  readonly words: readonly string[]
}

/** `whole`: nothing in it is hidden from us. */
export interface CommandLine {
  readonly commands: readonly SimpleCommand[]
  readonly whole: boolean
}

/** Programs whose arguments are a command. */
const wrappers: ReadonlySet<string> = new Set([
  "sudo",
  "doas",
  "env",
  "nohup",
  "time",
  "nice",
  "command",
  "exec",
  "setsid",
  "stdbuf",
  "timeout",
])
/** Programs and words of the shell after which anything may come. */
const opaque: ReadonlySet<string> = new Set(
  "sh bash dash zsh ksh fish ash busybox eval source . xargs find parallel ssh su python python3 perl ruby node php awk if then else for while until case do function { ! [[".split(
    " ",
  ),
)

const special = /[$`\\(){}<>*?[\]~!#]/

interface Reader {
  words: string[]
  word: string | undefined
  begins: number
  whole: boolean
}

export function readCommandLine(line: string): CommandLine {
  const commands: SimpleCommand[] = []
  const reader: Reader = { words: [], word: undefined, begins: 0, whole: true }
  const endCommand = (at: number): void => {
    endWord(reader)
    const text = line.slice(reader.begins, at).trim()
    if (text !== "") commands.push({ text, words: reader.words })
    reader.words = []
  }
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string
    if (character === "'" || character === '"') {
      const end = line.indexOf(character, at + 1)
      if (end < 0) return { commands: [{ text: line.trim(), words: [] }], whole: false }
      const inside = line.slice(at + 1, end)
      if (character === '"' && /[$`\\!]/.test(inside)) reader.whole = false
      reader.word = (reader.word ?? "") + inside
      at = end
    } else if (character === "\n" || character === ";" || character === "&" || character === "|") {
      endCommand(at)
      reader.begins = at + 1
    } else if (character === " " || character === "\t") endWord(reader)
    else {
      if (special.test(character)) reader.whole = false
      reader.word = (reader.word ?? "") + character
    }
  }
  endCommand(line.length)
  const seen = commands.map(({ text, words }) => ({ text, words: program(words) }))
  return { commands: seen, whole: reader.whole && seen.every(({ words: [name = ""] }) => !opaque.has(name)) }
}

function endWord(reader: Reader): void {
  if (reader.word !== undefined) reader.words.push(reader.word)
  reader.word = undefined
}

/** The command that runs in the end: its own name without the folder it is in. */
function program(words: readonly string[]): string[] {
  let at = 0
  let wrapped = false
  for (; at < words.length; at++) {
    const word = words[at] as string
    if (/^[A-Za-z_]\w*=/.test(word) || (wrapped && (word.startsWith("-") || /^\d+[smhd]?$/.test(word)))) continue
    if (!wrappers.has(nameOf(word))) break
    wrapped = true
  }
  const [name, ...rest] = words.slice(at)
  return name === undefined ? [] : [nameOf(name), ...rest]
}

const nameOf = (word: string): string => word.slice(word.lastIndexOf("/") + 1)
