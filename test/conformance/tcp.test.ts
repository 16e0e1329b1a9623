import { driver } from "./drivers/tcp.ts"
import { conformance } from "./suite.ts"

conformance(driver)
