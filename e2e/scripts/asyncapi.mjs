// The official parser reads the AsyncAPI document of every product: asyncapi.mjs http://127.0.0.1:8080
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.cwd(), 'package.json'));
const { Parser } = require('@asyncapi/parser');

const base = process.argv[2];
const mesh = await (await fetch(`${base}/v1/products`)).json();
const parser = new Parser();
for (const product of mesh.products) {
  const { href } = product.links.find((link) => link.rel === 'asyncapi');
  const text = await (await fetch(base + href)).text();
  const { document, diagnostics } = await parser.parse(text);
  const findings = diagnostics.map(({ message, path, severity }) => `${severity} ${path.join('.')}: ${message}`);
  if (!document || findings.length > 0) {
    console.error(`${href}\n  ${findings.join('\n  ')}`);
    process.exit(1);
  }
  console.log(`ok  ${href}: ${document.channels().length} channels, ${document.operations().length} operations`);
}
if (mesh.products.length === 0) {
  console.error('there is no product');
  process.exit(1);
}
