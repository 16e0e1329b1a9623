import { driver } from "./drivers/http.ts"
import { conformance } from "./suite.ts"

conformance(driver)
