// Checks a transfer's signatures and digests in the browser, with Web Crypto and nothing else.

const CONTEXTS = { manifest: "medxamion-manifest-v1", receipt: "medxamion-receipt-v1" };
const encoder = new TextEncoder();

/** {checks: [{words, passed, why}], facts} for a reply of GET .../receipt. */
export async function verifyReceipt(reply) {
  const manifest = JSON.parse(reply.manifest.payload);
  const receipt = reply.receipt ? JSON.parse(reply.receipt.payload) : null;
  const digest = await sha256(reply.manifest.payload);
  const checks = [await signatureCheck("The exam-client signed the manifest", CONTEXTS.manifest, reply.manifest, reply.manifest_key)];
  if (receipt) {
    checks.push(await signatureCheck("The coordinator signed the receipt", CONTEXTS.receipt, reply.receipt, reply.receipt_key));
    checks.push({ words: "The receipt names this manifest", passed: receipt.manifest_digest === digest });
    checks.push({ words: "Row counts and Merkle roots of both are equal", passed: sameTables(manifest.tables, receipt.tables) });
  }
  return { checks, facts: factsOf(reply, manifest, receipt, digest) };
}

function factsOf(reply, manifest, receipt, digest) {
  return {
    rows: Object.entries(manifest.tables).map(([name, table]) => [name, table.count]),
    digest,
    receiptId: receipt?.receipt_id ?? null,
    committedAt: reply.committed_at,
    erasedAt: reply.erased_at,
  };
}

async function signatureCheck(words, context, signed, key) {
  if (!globalThis.crypto?.subtle) return { words, passed: false, why: "This browser checks signatures only on secure (https) pages." };
  if (!key || key.kid !== signed.kid) return { words, passed: false, why: "The key that signed it is not known." };
  try {
    const publicKey = await crypto.subtle.importKey("jwk", { kty: key.kty, crv: key.crv, x: key.x }, { name: "Ed25519" }, false, ["verify"]);
    const bytes = encoder.encode(`${context}\n${signed.payload}`);
    return { words, passed: await crypto.subtle.verify("Ed25519", publicKey, base64url(signed.signature), bytes) };
  } catch {
    return { words, passed: false, why: "This browser can't check Ed25519 signatures; use examctl verify." };
  }
}

const sameTables = (a, b) => Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((name) => a[name].count === b[name]?.count && a[name].merkle_root === b[name]?.merkle_root);

async function sha256(text) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  return `sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function base64url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
