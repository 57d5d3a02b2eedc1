import { v1 } from "./client-v1.mjs";
import { pay } from "./script.mjs";

await pay(v1);
