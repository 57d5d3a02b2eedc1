import { v2 } from "./client-v2.mjs";
import { sign } from "./script.mjs";

await sign(v2);
