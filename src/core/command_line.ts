// A command line as a shell would take it apart, as far as that can be told without being a shell: its simple commands, each as
// words. It never runs anything and never guesses: what needs a shell to know (variables, substitutions, loops, `sh -c`) is said to
// be unreadable. Source: POSIX.1-2024, Shell Command Language, sections 2.2, 2.3 and 2.10.

export interface SimpleCommand {
  /** As it is written, without white space around it. */
  readonly text: string
  /** Its words without quotes; without assignments before it, redirections, and programs that only run another. */
  readonly words: readonly string[]
  /** Nothing is before the program, and it is where programs are looked for: it is the one of that name, run as it is. */
  readonly plain: boolean
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
  [
    "sh bash dash zsh ksh fish ash busybox eval source . xargs find parallel ssh su python python3 perl ruby node php awk lua tclsh expect",
    "if then else for while until case do function { ! [[",
    // They run another program, behind options of their own.
    "chroot chrt cgexec fakeroot flock ionice linux32 linux64 ltrace newgrp nsenter numactl pkexec runuser screen script setarch setpriv sg",
    "start-stop-daemon strace systemd-inhibit systemd-run taskset tmux unbuffer unshare watch",
  ].flatMap((names) => names.split(" ")),
)
/** Words of the shell right behind which a command follows. */
const leading: ReadonlySet<string> = new Set(["if", "then", "elif", "else", "while", "until", "do", "!", "{", "("])
/** An operator with where it leads, or without. */
const redirection = /^\d*[<>]+[&|]?(?<to>.*)$/s

const special = /[$`\\(){}<>*?[\]~!#]/

interface Reader {
  words: string[]
  word: string | undefined
  begins: number
  whole: boolean
  /** Behind the last `<` or `>` that is one. */
  redirects: number
}

export function readCommandLine(line: string): CommandLine {
  const commands: Omit<SimpleCommand, "plain">[] = []
  const reader: Reader = { words: [], word: undefined, begins: 0, whole: true, redirects: -1 }
  const endCommand = (at: number): void => {
    endWord(reader)
    const text = trimmed(line.slice(reader.begins, at))
    if (text !== "") commands.push({ text, words: reader.words })
    reader.words = []
  }
  for (let at = 0; at < line.length; at++) {
    const character = line[at] as string
    if (character === "'" || character === '"') {
      const end = line.indexOf(character, at + 1)
      if (end < 0) return { commands: [{ text: trimmed(line), words: [], plain: false }], whole: false }
      const inside = line.slice(at + 1, end)
      if (character === '"' && /[$`\\!]/.test(inside)) reader.whole = false
      reader.word = (reader.word ?? "") + inside
      at = end
    } else if ("\n;&|".includes(character) && !(reader.redirects === at && "&|".includes(character))) {
      endCommand(at)
      reader.begins = at + 1
    } else if (character === " " || character === "\t") endWord(reader)
    else if (character === "\\" && at + 1 < line.length && line[at + 1] !== "\n") {
      reader.whole = false
      reader.word = (reader.word ?? "") + (line[++at] as string)
    } else if (character === "\\" && at + 1 < line.length) {
      reader.whole = false
      at++ // the line goes on, and neither of the two is there
    } else {
      if (special.test(character)) reader.whole = false
      if (character === "<" || character === ">") reader.redirects = at + 1
      reader.word = (reader.word ?? "") + character
    }
  }
  endCommand(line.length)
  const seen = commands.map(({ text, words }) => ({ text, ...program(words) }))
  return { commands: seen, whole: reader.whole && seen.every(({ words: [name = ""], sure }) => sure && !opaque.has(name)) }
}

/** No other white space is any to a shell: it is a part of the word, and of the program's name. */
function trimmed(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && isBlank(text[from])) from++
  while (to > from && isBlank(text[to - 1])) to--
  return text.slice(from, to)
}

const isBlank = (character = ""): boolean => character === " " || character === "\t" || character === "\n"

function endWord(reader: Reader): void {
  if (reader.word !== undefined) reader.words.push(reader.word)
  reader.word = undefined
}

/** The command that runs in the end: its own name without the folder it is in. Not `sure`: that name may be the value of an option. */
function program(words: readonly string[]): { words: string[]; plain: boolean; sure: boolean } {
  let at = 0
  let wrapper: string | undefined
  let sure = true
  for (; at < words.length; at++) {
    const word = words[at] as string
    if (/^[A-Za-z_]\w*=/.test(word)) continue
    const to = redirection.exec(word)?.groups?.["to"]
    if (to === "") at++
    if (to !== undefined) continue
    if (leading.has(word)) {
      sure = false
      continue
    }
    if (wrapper !== undefined && (word.startsWith("-") || isNumber(word))) {
      if (!standsAlone(wrapper, word) && !isNumber(words[at + 1] ?? "")) sure = false
      continue
    }
    if (!wrappers.has(nameOf(word))) break
    wrapper = nameOf(word)
  }
  const [first, ...rest] = words.slice(at)
  const name = first?.replace(/^\(+(?=.)/, "") // a subshell needs no space
  if (name === undefined) return { words: [], plain: false, sure }
  return { words: [nameOf(name), ...rest], plain: at === 0 && !name.includes("/"), sure }
}

/** Options that take no value, by the program. */
const flags: Readonly<Record<string, RegExp>> = {
  sudo: /^-[nEHSkKbPA]+$/,
  doas: /^-[nL]+$/,
  env: /^-[i0v]*$/,
  exec: /^-[cl]+$/,
  command: /^-p$/,
  setsid: /^-[cfw]+$/,
  time: /^-[pv]+$/,
}

const isNumber = (word: string): boolean => /^-?\d+(?:\.\d+)?[smhd]?$/.test(word)
const standsAlone = (wrapper: string, word: string): boolean =>
  isNumber(word) || word === "--" || /^--[a-z-]+=/.test(word) || flags[wrapper]?.test(word) === true

const nameOf = (word: string): string => word.slice(word.lastIndexOf("/") + 1)
