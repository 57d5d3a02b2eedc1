import { v2 } from "./client-v2.mjs";
import { pay } from "./script.mjs";

await pay(v2);
