import { driver } from "./drivers/postgres.ts"
import { conformance } from "./suite.ts"

conformance(driver)
