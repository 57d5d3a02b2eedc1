import { v1 } from "./client-v1.mjs";
import { sign } from "./script.mjs";

await sign(v1);
