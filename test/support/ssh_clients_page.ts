// docs/ssh-clients.md: made of the results of the test of all clients, and read again for what an ordinary run leaves out.
import { ways } from "./other_ssh_clients.ts"

/** What the page says of a client: two cells of the row. */
export function kept(page: string, row: string, client: number): string[] {
  const cells =
    page
      .split("\n")
      .find((line) => line.startsWith(`| ${row} |`))
      ?.split(" | ") ?? []
  return ways.map((_, way) => (cells[1 + client * ways.length + way] ?? "not tried").replace(/ \|$/, ""))
}

export function text([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`
  return `# SSH clients

Made by \`npm run matrix\` from the results of test/e2e/ssh_clients.test.ts, which fails when they are others. The clients are those of
Debian 12: OpenSSH 9.2 and, of Debian 14, 10.6, dropbear's dbclient 2022.83, PuTTY 0.78 (plink, psftp, pscp), paramiko 2.12 and asyncssh 2.10. "jump" is
\`ssh -J gateway login@target\` in each client's own words, "direct" is \`login@target\` as the user's name at the gateway. "has none": the client
has no such thing.

\`npm run matrix\` tries every cell. The tests of every day move 100 MB with OpenSSH and 5 MB with the others, and of the cuts they try all
with OpenSSH, and with the others a command that a revocation ends.

A command that a signal has ended is a failure to each of them but dbclient, which exits with 0 then, also after one at a plain sshd. At a
cut the gateway says of each program that it failed with status 255, as ssh itself exits when a connection fails, and closes its channel before
the connection: dbclient goes by nothing else, and takes a disconnect for a success. So its \`-N\`, where no program can fail, exits with 0 at a cut,
and keeps the words of the disconnect to itself. paramiko's SFTPClient does not read what a server says beside the files, and raises an error
without the words. Both read them with the next connection, which is refused with them.

${line(head)}${line(head.map(() => "---"))}${rows.map(line).join("")}`
}
