import { driver } from "./drivers/ssh.ts"
import { conformance } from "./suite.ts"

conformance(driver)
