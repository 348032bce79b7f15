// A receiver of OpenClick's webhooks: checks the signature, prints each event once.
//
//     WEBHOOK_SECRET=whsec_... node receiver.mjs [PORT]
//
// No dependency.  `verify` is what to take over into your own application: give it the raw bytes of
// the body, as they came, before any JSON parser has seen them.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const TOLERANCE_SECONDS = 300;
const MAX_BODY_BYTES = 10_000_000;

// In your application: where it outlives a restart.
const seen = new Set();

// Returns whether an Anypost-Signature holds.
export function verify(secret, header, body, nowSeconds) {
  const pairs = header.split(",").map((part) => {
    const [key, ...rest] = part.trim().split("=");
    return [key, rest.join("=")];
  });
  const stamps = pairs.filter(([key]) => key === "t").map(([, value]) => value);
  if (stamps.length !== 1 || !/^[0-9]+$/.test(stamps[0])) return false;
  if (Math.abs(nowSeconds - Number(stamps[0])) > TOLERANCE_SECONDS) return false;
  const hmac = createHmac("sha256", secret).update(`${stamps[0]}.`).update(body);
  const expected = Buffer.from(hmac.digest("hex"));
  // During a rotation there are two signatures; whoever holds either secret finds one.
  return pairs
    .filter(([key]) => key === "v1")
    .map(([, value]) => Buffer.from(value))
    .some((found) => found.length === expected.length && timingSafeEqual(found, expected));
}

function take(request, response, body) {
  const header = request.headers["anypost-signature"] ?? "";
  if (!verify(process.env.WEBHOOK_SECRET, header, body, Date.now() / 1000)) {
    response.writeHead(400).end();
    return;
  }
  for (const event of JSON.parse(body.toString("utf8")).events) {
    if (seen.has(event.id)) continue;
    seen.add(event.id);
    console.log(event.id, event.type);
  }
  response.writeHead(204).end();
}

createServer((request, response) => {
  const chunks = [];
  let bytes = 0;
  request.on("data", (chunk) => {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) request.destroy();
    chunks.push(chunk);
  });
  request.on("end", () => take(request, response, Buffer.concat(chunks)));
}).listen(Number(process.argv[2] ?? 8080), "127.0.0.1");
