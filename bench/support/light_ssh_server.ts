// A light SSH server for a thousand idle shells, run as a child by `idle_ssh.ts`: it lets everybody in, says one prompt on each
// terminal, and then only listens. Real ones are measured in `ssh.ts`; here only the gateway's processes count.
import ssh2 from "ssh2"

const [, , hostKey = ""] = process.argv
const server = new ssh2.Server({ hostKeys: [Buffer.from(hostKey, "base64")] }, (client) => {
  client.on("error", () => {})
  client.on("authentication", (attempt) => attempt.accept())
  client.on("session", (accept) => {
    const session = accept()
    session.on("pty", (take) => take?.())
    session.on("shell", (take) => {
      const shell = take()
      shell.on("error", () => {})
      shell.write("$ ")
      shell.resume()
    })
  })
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (address !== null && typeof address === "object") console.log(`listening ${address.port}`)
})
