// Prints for each body of the task whether ajv finds it right by the document: a list of true and false.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";

const { document, bodies } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { schemas } = document.components;
// strictNumbers, as by default: what is too large for a number is none. Else not strict, for the member `components`.
const ajv = new Ajv({ strict: false, strictNumbers: true, validateFormats: false });
const validators = {};
for (const [name, text] of bodies) {
  validators[name] ??= ajv.compile({ components: { schemas }, ...schemas[name] });
}
console.log(JSON.stringify(bodies.map(([name, text]) => validators[name](JSON.parse(text)))));
